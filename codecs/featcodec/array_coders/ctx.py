"""`ctx`: adaptive context modelling of integer symbols. docs/ctx.md describes the model and the stream."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from featcodec._native import kernels
from featcodec.array_coders import ctx_reference
from featcodec.contract import Array, ArrayCoder, Buffer, Profile
from featcodec.dtypes import ALL, FLOATS
from featcodec.errors import PayloadError

_RAW, _CONSTANT = 0, 1
_MODELS = 2, 3, 4  # encoders write 4; the others are older models
_MOST = 1 << 16  # levels, and columns of a map: they bound what a decoder allocates


@dataclass(frozen=True)
class Ctx(ArrayCoder):
    """Adaptive: each symbol predicted from its neighbours and from similar channels; needs no profile."""

    name: ClassVar[str] = "ctx"
    accepts: ClassVar[frozenset[str]] = ALL - FLOATS

    def coded_size(self, count: int, dtype: np.dtype[Any]) -> None:
        return None

    def encode(self, symbols: Array, profile: Profile | None) -> Buffer:
        plain = symbols.astype(np.uint8) if symbols.dtype.kind == "b" else symbols
        low, high = plain.min(), plain.max()
        raw = bytes((_RAW,)) + symbols.tobytes()
        levels = int(high) - int(low) + 1
        start: bytes = low.astype(plain.dtype).tobytes()
        if levels == 1:
            return bytes((_CONSTANT,)) + start
        if levels > _MOST or view(symbols.shape)[2] > _MOST:
            return raw
        # Differences may wrap round in a signed dtype; read as unsigned they are right again.
        differences = np.subtract(plain, low, dtype=plain.dtype).view(f"<u{plain.dtype.itemsize}")
        values = differences.astype(np.uint16).reshape(view(symbols.shape))
        stream: bytes = (ctx_reference.encode if kernels is None else kernels.ctx_encode)(values, levels)
        coded = bytes((ctx_reference.MODE,)) + start + (levels - 1).to_bytes(2, "little") + stream
        return coded if len(coded) < len(raw) else raw

    def decode(self, data: memoryview, shape: tuple[int, ...], dtype: np.dtype[Any], profile: Profile | None) -> Array:
        mode, body = data[0] if len(data) else None, data[1:]
        plain = np.dtype(np.uint8) if dtype.kind == "b" else dtype
        size = dtype.itemsize
        if mode == _RAW:
            if len(body) != prod(shape) * size:
                raise PayloadError(f"ctx: {len(body)} bytes of raw symbols, {prod(shape) * size} expected")
            return np.frombuffer(body, dtype).reshape(shape)
        if mode == _CONSTANT and len(body) == size:
            return np.full(shape, np.frombuffer(body, plain)[0]).view(dtype)
        if mode not in _MODELS or len(body) < size + 2:
            raise PayloadError(f"ctx: mode {mode} with {len(body)} bytes is nothing an encoder writes")
        low = np.frombuffer(body[:size], plain)[0]
        levels = int.from_bytes(body[size : size + 2], "little") + 1
        highest = 1 if dtype.kind == "b" else np.iinfo(plain).max
        if levels < 2 or view(shape)[2] > _MOST or int(low) + levels - 1 > highest:
            raise PayloadError(f"ctx: {levels} values from {low} up do not fit {dtype} or the map")
        values = np.empty(view(shape), np.uint16)
        _decode(body[size + 2 :], levels, values, mode)
        symbols = values.astype(plain)
        symbols += low
        return symbols.reshape(shape).view(dtype)


def _decode(stream: memoryview, levels: int, values: Array, mode: int) -> None:
    if kernels is None:
        ctx_reference.decode(bytes(stream), levels, values, mode)
    elif not kernels.ctx_decode(np.frombuffer(stream, np.uint8), levels, values, mode):
        raise PayloadError("ctx: the stream does not decode to as many symbols as the header says")


def view(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """An array's channels, rows and columns: the last two axes are a map, all before them count channels.

    Maps of one pixel lie side by side instead: as many rows as the axes before the channels make.
    """
    channels, height, width = (1, 1, 1, *shape)[-3:]
    outer = prod(shape[:-3])
    if height * width == 1:
        return 1, outer, channels
    return outer * channels, height, width
