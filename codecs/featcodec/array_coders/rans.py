"""`rans`: integer symbols by rANS, with frequency tables in the payload (docs/rans.md).

J. Duda, "Asymmetric numeral systems", arXiv:1311.2540. The reference here and _native/rans.cpp write the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar, TypeGuard

import numpy as np

from featcodec._native import kernels
from featcodec.array_coders import rans_core, rans_profile
from featcodec.array_coders.bits import BitReader, BitWriter, fold, unfold
from featcodec.array_coders.rans_model import WINDOW, Counts, Model, choose, read_explicit, read_parametric
from featcodec.contract import Array, ArrayCoder, Buffer, Profile
from featcodec.errors import PayloadError
from featcodec.parameters import integer
from featcodec.profile_step import ProfileAtStep

_ACCEPTS = frozenset({"int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"})
_INT16 = np.dtype("<i2")
_MOST_CHANNELS = 1024
_FEWEST_VALUES = 16  # of a channel, for tables of its own


@dataclass(frozen=True)
class Rans(ArrayCoder):
    """Static rANS: a profile's tables for the symbols of `transform`, else small tables per channel in the frame."""

    name: ClassVar[str] = "rans"
    accepts: ClassVar[frozenset[str]] = _ACCEPTS
    context: int = integer(1, 0, 1, "1: use the contexts of a profile that has them")

    def coded_size(self, count: int, dtype: np.dtype[Any]) -> int | None:
        return None

    def encode(self, symbols: Array, profile: Profile | None) -> Buffer:
        if _has_tables(profile, symbols.shape, symbols.dtype):
            return rans_profile.encode(symbols, profile, contexts=self.context == 1)
        view = view_of(symbols.shape)
        if kernels is None:
            return encode_reference(symbols.reshape(view))
        dtype = symbols.dtype
        aligned = symbols if symbols.flags.aligned else symbols.copy()
        data = aligned.reshape(-1).view(np.uint8)
        coded: bytes = kernels.rans_encode(data, dtype.itemsize, dtype.kind == "i", *view)
        return coded

    def decode(self, data: memoryview, shape: tuple[int, ...], dtype: np.dtype[Any], profile: Profile | None) -> Array:
        if len(data) and data[0] in rans_profile.MODES:
            if not _has_tables(profile, shape, dtype):
                raise PayloadError("rans: the payload's mode needs a profile and the symbols of its transform")
            return rans_profile.decode(data, shape, profile)
        view = view_of(shape)
        if kernels is None:
            return decode_reference(data, view, dtype).reshape(shape)
        symbols = np.empty(shape, dtype)
        flat = symbols.reshape(-1).view(np.uint8)
        try:
            kernels.rans_decode(np.frombuffer(data, np.uint8), dtype.itemsize, dtype.kind == "i", *view, flat)
        except RuntimeError as error:
            raise PayloadError(f"rans: {error}") from error
        return symbols

    def decode_coefficients(
        self, data: memoryview, shape: tuple[int, ...], dtype: np.dtype[Any], profile: Profile | None
    ) -> Array | None:
        if kernels is None or not len(data) or data[0] not in rans_profile.MODES:
            return None
        return rans_profile.decode_coefficients(data, profile) if _has_tables(profile, shape, dtype) else None


def _has_tables(profile: Profile | None, shape: tuple[int, ...], dtype: np.dtype[Any]) -> TypeGuard[ProfileAtStep]:
    """Only a transform quantiser hands its coder a profile at a step."""
    return isinstance(profile, ProfileAtStep) and dtype == _INT16 and profile.shape == shape


def view_of(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(outer, channels, inner): axis -3 counts channels if there are 2 to 1,024 of at least 16 values each."""
    count = prod(shape)
    if len(shape) >= 3 and 1 < shape[-3] <= _MOST_CHANNELS and count // shape[-3] >= _FEWEST_VALUES:
        return prod(shape[:-3]), shape[-3], shape[-2] * shape[-1]
    return 1, 1, count


def encode_reference(values: Array) -> bytes:
    """The payload of (outer, channels, inner) integers."""
    header, low, escapes = BitWriter(), BitWriter(), bytearray()
    wide = values.astype(np.int64)  # uint64 wraps
    model, mode = choose(_count(values, wide), header)
    symbols = []
    channels = _channel_of_each(values.shape)
    for value, channel in zip(wide.reshape(-1).tolist(), channels, strict=True):
        symbol = (value >> model.shift) - model.bases[channel]
        if 0 <= symbol < model.symbols[channel]:
            low.put(value, model.shift)
        else:
            symbol = model.symbols[channel]
            _put_escape(escapes, fold(_wrapped(value - (model.bases[channel] << model.shift))))
        symbols.append(symbol)
    body, words = rans_core.encode(symbols, model.tables, [model.chosen[channel] for channel in channels])
    header.gamma(words)
    coded = bytes([mode]) + header.take() + body + low.take() + escapes
    return coded if len(coded) <= values.nbytes else b"\0" + values.tobytes()


def _count(values: Array, wide: Array) -> Counts:
    ordered = np.sort((wide if values.dtype.itemsize == 8 else values).reshape(-1))
    least, most = int(ordered[0]), int(ordered[-1])
    shift = _shift_for(least, most)
    if shift:  # a few outliers must not cost every value its low bits
        aside = min((ordered.size >> 7) + 4, (ordered.size - 1) // 2)
        inner = int(ordered[aside]), int(ordered[-1 - aside])
        if _shift_for(*inner) + 2 <= shift:
            least, most = inner
            shift = _shift_for(least, most)
    base = least >> shift
    width = (most >> shift) - base + 2
    difference = (wide >> shift).view(np.uint64) - np.array(base, np.int64).view(np.uint64)
    symbols = np.minimum(difference, np.uint64(width - 1)).astype(np.int64)
    channels = values.shape[1]
    keys = symbols + np.arange(channels)[None, :, None] * width
    return Counts(shift, base, np.bincount(keys.reshape(-1), minlength=channels * width).reshape(channels, width))


def _shift_for(least: int, most: int) -> int:
    """The fewest low bits that must go for least..most to fit a table."""
    shift = 0
    while (most >> shift) - (least >> shift) >= WINDOW:
        shift += 1
    return shift


def _channel_of_each(view: tuple[int, ...]) -> list[int]:
    outer, channels, inner = view
    numbers: list[int] = np.tile(np.repeat(np.arange(channels), inner), outer).tolist()
    return numbers


def _wrapped(value: int) -> int:
    """To a signed 64-bit number."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def _put_escape(out: bytearray, code: int) -> None:
    while code >= 128:
        out.append(code & 127 | 128)
        code >>= 7
    out.append(code)


def decode_reference(data: memoryview, view: tuple[int, int, int], dtype: np.dtype[Any]) -> Array:
    """(outer, channels, inner) integers. Raises PayloadError."""
    count = prod(view)
    if not len(data) or data[0] > 2:
        raise PayloadError("rans: an unknown mode" if len(data) else "rans: the payload is cut short")
    if data[0] == 0:
        if len(data) - 1 != count * dtype.itemsize:
            raise PayloadError("rans: raw symbols of another size than the tensor's")
        return np.frombuffer(data[1:], dtype)
    source = BitReader(data[1:])
    model = read_explicit(source, view[1]) if data[0] == 1 else read_parametric(source, view[1])
    words = source.gamma()
    begin = 1 + source.bytes
    end = begin + 4 * rans_core.streams_for(count) + 2 * words
    if end > len(data):
        raise PayloadError("rans: the payload is cut short")
    channels = _channel_of_each(view)
    symbols = rans_core.decode(data[begin:end], words, model.tables, [model.chosen[channel] for channel in channels])
    return _join(symbols, channels, model, data[end:], dtype)


def _join(symbols: list[int], channels: list[int], model: Model, rest: memoryview, dtype: np.dtype[Any]) -> Array:
    """Values from symbols, low bits and escapes, which must end with `rest`."""
    inside = sum(symbol < model.symbols[channel] for symbol, channel in zip(symbols, channels, strict=True))
    at = (inside * model.shift + 7) // 8
    if at > len(rest):
        raise PayloadError("rans: the payload is cut short")
    low = BitReader(rest[:at])
    values = []
    for symbol, channel in zip(symbols, channels, strict=True):
        base = model.bases[channel]
        if symbol < model.symbols[channel]:
            values.append((base + symbol) << model.shift | low.get(model.shift))
        else:
            code, at = _get_escape(rest, at)
            values.append((base << model.shift) + unfold(code))
    if low.bytes + at != len(rest) + (inside * model.shift + 7) // 8:
        raise PayloadError("rans: the payload has bytes left over")
    mask = (1 << 8 * dtype.itemsize) - 1
    whole = np.array([value & mask for value in values], np.uint64)
    return whole.astype(f"<u{dtype.itemsize}").view(dtype)


def _get_escape(data: memoryview, at: int) -> tuple[int, int]:
    code = 0
    for index in range(10):
        if at + index == len(data):
            raise PayloadError("rans: the payload is cut short")
        byte = data[at + index]
        code |= (byte & 127) << 7 * index
        if byte < 128:
            return code & ((1 << 64) - 1), at + index + 1
    raise PayloadError("rans: a number is too large")
