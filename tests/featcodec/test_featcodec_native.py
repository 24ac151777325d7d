"""The native kernels equal their numpy references bit for bit."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import featcodec
from featcodec._native import kernels
from featcodec.quantisers import ends, uniform

pytestmark = pytest.mark.skipif(kernels is None, reason="the extension module was not built")

VALUES = st.floats(width=32, allow_nan=False, allow_infinity=False)
FINITE = hnp.arrays(np.float32, hnp.array_shapes(max_dims=3, max_side=40), elements=VALUES)


def _both(monkeypatch: pytest.MonkeyPatch, array: np.ndarray, spec: str) -> tuple[bytes, bytes]:
    native = featcodec.encode(array, spec)
    with monkeypatch.context() as without:
        without.setattr(uniform, "kernels", None)
        without.setattr(ends, "kernels", None)
        reference = featcodec.encode(array, spec)
        np.testing.assert_array_equal(featcodec.decode(native), decoded := featcodec.decode(reference))
    assert featcodec.decode(native).tobytes() == decoded.tobytes()
    return native, reference


@given(array=FINITE, bits=st.integers(1, 8))
def test_affine(array: np.ndarray, bits: int) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        native, reference = _both(monkeypatch, array, f"affine:bits={bits}|raw")
    assert native == reference


@pytest.mark.parametrize("spec", ["affine|raw", "affine:bits=3|raw", "clip:levels=7|raw"])
@pytest.mark.parametrize("scale", [1e-44, 1e-38, 1.0, 1e38])
def test_ranges_from_denormal_to_huge(monkeypatch: pytest.MonkeyPatch, spec: str, scale: float) -> None:
    array = (np.random.default_rng(5).standard_normal((6, 7, 8)) * scale).astype(np.float32)
    native, reference = _both(monkeypatch, array, spec)
    assert native == reference


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, 7, 99])
def test_every_value_that_is_not_finite_is_found(bad: float, place: int) -> None:
    array = np.ones(100, np.float32)
    array[place] = bad
    with pytest.raises(featcodec.NonFiniteError):
        featcodec.encode(array, "affine")


def test_sizes_that_do_not_fit_are_errors() -> None:
    with pytest.raises(ValueError, match="differ in size"):
        kernels.quantise(np.zeros(3, np.float32), 0.0, 1.0, 255.0, np.zeros(2, np.uint8))
    with pytest.raises(ValueError, match="256 entries"):
        kernels.look_up(np.zeros(3, np.uint8), np.zeros(9, np.float32), np.zeros(3, np.float32))


def test_the_references_serve_without_the_extension() -> None:
    code = (
        "import featcodec, numpy as np; from featcodec._native import kernels; assert kernels is None; "
        "x = np.arange(600, dtype=np.float32); "
        "print(np.abs(featcodec.decode(featcodec.encode(x, 'affine')) - x).max() < 2)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env={"FEATCODEC_NATIVE": "0"}, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "True"
