"""One property that every registered stage has, for arrays of any shape, dtype, layout and values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from featcodec import InputError, NonFiniteError, Quantiser, Spec, encode, parse_spec
from featcodec.contract import Array, ArrayCoder, ByteCoder
from featcodec.dtypes import FLOATS, name_of
from featcodec.registry import stage_names
from featcodec.testing import check_round_trip, stage_specs
from featcodec.testing.strategies import arrays, stages

NAN_TAKING = {"none", "float16", "bfloat16"}
_EXAMPLES = settings(
    derandomize=True,
    deadline=None,
    database=None,
    max_examples=120,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def test_the_property_covers_every_stage() -> None:
    calibrated = {"transform"}  # needs a profile: test_featcodec_transform.py
    assert set(stage_specs()) == set(stage_names()) - calibrated


@pytest.mark.parametrize("name", stage_specs())
@given(st.data())
@_EXAMPLES
def test_every_stage_round_trips(name: str, data: st.DataObject) -> None:
    spec = data.draw(_spec_of(name))
    array = data.draw(arrays())
    if name_of(array.dtype) not in spec.quantiser.accepts or not _codes(spec, array):
        with pytest.raises(InputError, match=" takes "):
            encode(array, spec)
    elif spec.quantiser.name not in NAN_TAKING and not np.isfinite(array).all():
        with pytest.raises(NonFiniteError, match="NaN or infinity"):
            encode(array, spec)
    else:
        _check(spec, array)


@pytest.mark.parametrize("name", ["affine", "clip"])
@given(st.data())
@_EXAMPLES
def test_finite_floats_round_trip_within_their_range(name: str, data: st.DataObject) -> None:
    spec = data.draw(_spec_of(name))
    _check(spec, data.draw(arrays(FLOATS, finite=True)))


def _spec_of(name: str) -> st.SearchStrategy[Spec]:
    """The stage with any parameters, alone or after `none`."""

    def build(stage: Any) -> Spec:
        none = parse_spec("none").quantiser
        if isinstance(stage, Quantiser):
            return Spec(stage)
        if isinstance(stage, ArrayCoder):
            return Spec(none, stage)
        assert isinstance(stage, ByteCoder)
        return Spec(none, byte_coder=stage)

    return stages(name).map(build)


def _codes(spec: Spec, array: Array) -> bool:
    return name_of(spec.quantiser.symbol_dtype(array.dtype)) in spec.coder.accepts


def _check(spec: Spec, array: Array) -> None:
    if (largest := _largest(spec, array)) is not None:
        finite = np.abs(array[np.isfinite(array)])
        if finite.size and float(finite.max()) >= largest:
            with pytest.raises(InputError, match="cannot represent"):
                encode(array, spec)
            return
    decoded = check_round_trip(spec, array)
    if not array.size or spec.lossless:
        return
    assert np.array_equal(np.isnan(decoded), np.isnan(array))
    if spec.quantiser.name in NAN_TAKING:
        assert np.array_equal(np.isinf(decoded), np.isinf(array))
    else:
        assert decoded.min() >= array.min()
        assert decoded.max() <= array.max()


def _largest(spec: Spec, array: Array) -> float | None:
    """The smallest magnitude that the quantiser would round to infinity."""
    if spec.quantiser.name == "float16":
        return 65520.0
    if spec.quantiser.name == "bfloat16":
        return 65408.0 if array.dtype.itemsize == 2 else float.fromhex("0x1.ffp127")
    return None
