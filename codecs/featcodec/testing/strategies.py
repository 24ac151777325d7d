"""Hypothesis strategies for arrays, stages and specs."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
from hypothesis import strategies as st

from featcodec.contract import Array, ArrayCoder, ByteCoder, Quantiser, Stage, rule_of
from featcodec.dtypes import ALL
from featcodec.parameters import Choice, Integer, Rule
from featcodec.registry import stage_class, stage_names
from featcodec.spec import Spec

_SPECIALS = (0.0, -0.0, 1.0, -1.0, 1e-45, -1e-40, 6.1e-5, 0.1, 3.4e38, 65504.0)
_LAYOUTS = ("C", "Fortran", "strided", "reversed", "broadcast")


def shapes(max_rank: int = 6, max_side: int = 5) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes of 0 to `max_rank` axes, empty ones included."""
    return st.lists(st.integers(0, max_side), max_size=max_rank).map(tuple)


@st.composite
def arrays(draw: st.DrawFn, dtypes: frozenset[str] = ALL, finite: bool = False, max_rank: int = 6) -> Array:
    """Arrays of any shape, dtype, byte order and memory layout. Floats are arbitrary bit patterns (NaN
    payloads, infinities, denormals), special values or plain ones; with `finite`, finite ones only."""
    dtype = np.dtype(draw(st.sampled_from(sorted(dtypes))))
    shape = draw(shapes(max_rank))
    array = _fill(draw, dtype, shape)
    if finite and dtype.kind == "f":
        array[~np.isfinite(array)] = 1
    if draw(st.booleans()):
        array = array.astype(dtype.newbyteorder(">"))
    return _lay_out(array, draw(st.sampled_from(_LAYOUTS)))


def _fill(draw: st.DrawFn, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    size = int(np.prod(shape, dtype=np.int64))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    style = draw(st.sampled_from(("bits", "specials", "plain"))) if dtype.kind == "f" else "bits"
    if style == "bits":
        flat = np.frombuffer(random.bytes(size * dtype.itemsize), dtype).copy()
        if dtype.kind == "b":
            flat = (flat.view(np.uint8) & 1).view(np.bool_)
    elif style == "specials":
        with np.errstate(over="ignore"):
            flat = random.choice(np.array(_SPECIALS), size).astype(dtype)
    else:
        flat = random.laplace(size=size).astype(dtype)
    return flat.reshape(shape)


def _lay_out(array: Array, layout: str) -> Array:
    """The same values in another memory layout ("broadcast" repeats the first row)."""
    if layout == "Fortran":
        return np.asarray(array, order="F")
    if array.ndim == 0 or array.shape[-1] == 0:
        return array
    if layout == "strided":
        wide = np.repeat(array, 2, axis=-1)
        return wide[..., ::2]
    if layout == "reversed":
        return array[..., ::-1]
    if layout == "broadcast":
        return np.broadcast_to(array[..., :1], array.shape)
    return array


def _values(rule: Rule) -> st.SearchStrategy[Any]:
    if isinstance(rule, Integer):
        return st.integers(rule.low, rule.high)
    if isinstance(rule, Choice):
        return st.sampled_from(rule.options)
    return st.floats(rule.low, rule.high)


def stages(name: str) -> st.SearchStrategy[Stage]:
    """A stage of that name with any parameters."""
    cls = stage_class(name)
    return st.builds(cls, **{field.name: _values(rule_of(field)) for field in fields(cls)})


def specs() -> st.SearchStrategy[Spec]:
    """Any valid combination of stages and parameters."""
    of_kind: dict[type[Stage], list[st.SearchStrategy[Any]]] = {Quantiser: [], ArrayCoder: [], ByteCoder: []}
    for name in stage_names():
        for kind, found in of_kind.items():
            if issubclass(stage_class(name), kind):
                found.append(stages(name))

    def build(quantiser: Quantiser, coder: ArrayCoder, byte_coder: ByteCoder | None) -> Spec:
        ends_the_chain = coder.coded_size(1, np.dtype(np.uint8)) is None
        return Spec(quantiser, coder, None if ends_the_chain else byte_coder)

    byte_coders = st.none() | st.one_of(of_kind[ByteCoder])
    return st.builds(build, st.one_of(of_kind[Quantiser]), st.one_of(of_kind[ArrayCoder]), byte_coders)
