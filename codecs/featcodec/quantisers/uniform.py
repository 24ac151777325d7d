"""Uniform quantisation between two ends that are reconstruction points themselves.

With `top` = number of levels - 1, in float64, each operation rounded once:

    symbol = round_to_even((x - low) / (high - low) * top)
    value  = min(max(low * ((top - symbol) / top) + high * (symbol / top), low), high)

then rounded to the array's dtype. Written this way both ends decode exactly (so a ReLU's zeros stay zero),
nothing overflows when `high - low` does, and denormal ranges keep their resolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from featcodec.contract import Array
from featcodec.errors import PayloadError

_BLOCK = 1 << 16  # elements worked on at once: bounds the float64 temporaries
_Slices = tuple[slice, slice, slice]


def symbol_dtype(top: int) -> np.dtype[Any]:
    """The smallest unsigned dtype that holds 0..top."""
    return np.dtype("<u1" if top < 256 else "<u2")


def quantise(array: Array, low: Array, high: Array, top: int) -> Array:
    """Symbols of `array` (outer, channel, inner), each channel between float64 `low` and `high` (channel,).
    Values beyond the ends take the nearest end."""
    symbols = np.empty(array.shape, symbol_dtype(top))
    with np.errstate(over="ignore"):
        # Where the range of float64 values overflows, everything is halved first.
        half = np.where(np.isinf(high - low), 0.5, 1.0)
    bottom = (low * half)[:, None]
    span = (high * half)[:, None] - bottom
    span[span == 0] = 1.0
    for block in _blocks(array.shape):
        channel = block[1]
        ratio = array[block].astype(np.float64)
        if half.min() < 1:
            ratio *= half[channel, None]
        ratio -= bottom[channel]
        ratio /= span[channel]
        np.minimum(np.maximum(ratio, 0.0, out=ratio), 1.0, out=ratio)
        ratio *= top
        symbols[block] = np.rint(ratio, out=ratio)
    return symbols


def dequantise(symbols: Array, low: Array, high: Array, top: int, dtype: np.dtype[Any]) -> Array:
    """Values of `dtype` for symbols (outer, channel, inner). Raises PayloadError for a symbol above `top`."""
    out = np.empty(symbols.shape, dtype)
    low, high = low[:, None], high[:, None]
    table = None
    if low.size == 1 and symbols.size > top:
        table = _values(np.arange(top + 1, dtype=np.float64), low[0], high[0], top).astype(dtype)
    for block in _blocks(symbols.shape):
        part = symbols[block]
        if part.max() > top:
            raise PayloadError(f"symbol {part.max()} is above the highest one, {top}")
        if table is not None:
            out[block] = table.take(part)
        else:
            out[block] = _values(part.astype(np.float64), low[block[1]], high[block[1]], top)
    return out


def _values(symbols: Array, low: Array, high: Array, top: int) -> Array:
    upper = symbols / top
    lower = (top - symbols) / top
    with np.errstate(over="ignore"):  # rounding may carry the sum past the largest float64
        lower *= low
        upper *= high
        lower += upper
    return np.minimum(np.maximum(lower, low, out=lower), high, out=lower)


def _blocks(shape: tuple[int, ...]) -> Iterator[_Slices]:
    """Cut (outer, channel, inner) into blocks of at most _BLOCK elements, whole rows where they fit."""
    outer, channels, inner = shape
    every = slice(None)
    if channels * inner <= _BLOCK:
        step = _BLOCK // (channels * inner)
        for first in range(0, outer, step):
            yield slice(first, first + step), every, every
    elif inner <= _BLOCK:
        step = _BLOCK // inner
        for index in range(outer):
            for first in range(0, channels, step):
                yield slice(index, index + 1), slice(first, first + step), every
    else:
        for index in range(outer):
            for channel in range(channels):
                for first in range(0, inner, _BLOCK):
                    cut = slice(first, first + _BLOCK)
                    yield slice(index, index + 1), slice(channel, channel + 1), cut
