"""Uniform quantisation between two ends that are reconstruction points themselves.

With `top` = number of levels - 1, in float64, each operation rounded once:

    symbol = round_to_even((x - low) / (high - low) * top)
    value  = min(max(low * ((top - symbol) / top) + high * (symbol / top), low), high)

then rounded to the array's dtype; an encoder may also take `top / (high - low)` together. Written this way
both ends decode exactly (so a ReLU's zeros stay zero), nothing overflows when `high - low` does, and denormal ranges
keep their resolution.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from functools import lru_cache
from typing import Any

import numpy as np

from featcodec._native import kernels
from featcodec.contract import Array
from featcodec.errors import PayloadError

_FLOAT32 = np.dtype(np.float32)
_BLOCK = 1 << 16  # elements worked on at once: bounds the float64 temporaries
_Slices = tuple[slice, slice, slice]


def symbol_dtype(top: int) -> np.dtype[Any]:
    """The smallest unsigned dtype that holds 0..top."""
    return np.dtype("<u1" if top < 256 else "<u2")


def quantise(array: Array, low: Array, high: Array, top: int) -> Array:
    """Symbols of `array` (outer, channel, inner), each channel between float64 `low` and `high` (channel,).
    Values beyond the ends take the nearest end."""
    if low.size == 1 and array.size <= _BLOCK and array.dtype.itemsize < 8:
        return _quantise_one(array, float(low[0]), float(high[0]), top)
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


def _quantise_one(array: Array, low: float, high: float, top: int) -> Array:
    """One range of at most float32 values. After a network has run, every numpy call costs several microseconds of cold
    caches, more than its arithmetic on a feature map: hence as few as possible."""
    scale = top / ((high - low) or 1.0)
    if kernels is not None and array.dtype == _FLOAT32 and top < 256:
        symbols = np.empty(array.shape, np.uint8)
        kernels.quantise(array.reshape(-1), low, scale, top, symbols.reshape(-1))
        return symbols
    ratio = np.subtract(array, low, dtype=np.float64)
    ratio *= scale
    np.rint(ratio, out=ratio)
    np.minimum(np.maximum(ratio, 0.0, out=ratio), top, out=ratio)
    return ratio.astype(symbol_dtype(top))


def dequantise(symbols: Array, low: Array, high: Array, top: int, dtype: np.dtype[Any]) -> Array:
    """Values of `dtype` for symbols (outer, channel, inner). Raises PayloadError for a symbol above `top`."""
    low, high = low[:, None], high[:, None]
    table = None
    if low.size == 1 and symbols.size > top:
        table = _table(float(low[0, 0]), float(high[0, 0]), top, dtype)
        if top == 255:  # every symbol has an entry: nothing to check
            if kernels is None or dtype != _FLOAT32:
                return table.take(symbols)
            out = np.empty(symbols.shape, _FLOAT32)
            kernels.look_up(symbols.reshape(-1), table, out.reshape(-1))
            return out
    out = np.empty(symbols.shape, dtype)
    for block in _blocks(symbols.shape):
        part = symbols[block]
        if part.max() > top:
            raise PayloadError(f"symbol {part.max()} is above the highest one, {top}")
        if table is not None:
            out[block] = table.take(part)
        else:
            out[block] = _values(part.astype(np.float64), low[block[1]], high[block[1]], top)
    return out


def _table(low: float, high: float, top: int, dtype: np.dtype[Any]) -> Array:
    """The value of every symbol."""
    lower, upper = _weights(top)
    with np.errstate(over="ignore") if dtype.itemsize == 8 else nullcontext():
        values = lower * low
        values += upper * high
    return np.minimum(np.maximum(values, low, out=values), high, out=values).astype(dtype)


@lru_cache(maxsize=32)
def _weights(top: int) -> tuple[Array, Array]:
    """The weights of both ends in the value of every symbol."""
    symbols = np.arange(top + 1, dtype=np.float64)
    return (top - symbols) / top, symbols / top


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
