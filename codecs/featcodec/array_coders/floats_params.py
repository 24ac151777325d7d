"""The header of a `floats` payload: chosen, written, read. The native twin is _native/floats_params.cpp."""

from __future__ import annotations

import numpy as np

from featcodec.array_coders.bits import BitReader, BitWriter, get_list, put_list
from featcodec.array_coders.floats_model import ABOVE, BELOW, LEAD, LEAST_WEIGHT, WEIGHTS, Format, Params
from featcodec.contract import Array
from featcodec.errors import PayloadError

TABLES = 4
_SCALES = 40
_SAMPLE = 4096
_NONE = 1 << 20


def choose(values: Array, form: Format) -> Params:
    """For the bits of (channels, height, width) values."""
    _, height, width = values.shape
    area = height * width
    flat = values.reshape(-1).astype(np.int64)
    zeros = int((flat == 0).sum()) * 256 >= flat.size
    same = int(((flat[1:] == flat[:-1]) & (flat[1:] != 0)).sum()) * 64 >= flat.size
    weight = 5 if area <= 256 else 4 if area <= 1024 else 3
    shape, scale = (3, 20) if zeros else (1, 19)
    params = Params(_choose_top(flat, form), zeros, same, shape, scale, weight)
    before = [0, 0]
    for channel in values.astype(np.int64):
        for sign, low in enumerate(_lowest_bits(channel, form, params.top)):
            before[sign] = before[sign] if low == _NONE else low
            params.grid[sign].append(before[sign])
        params.predictor.append(_choose_predictor(channel, form, params.top))
    return params


def _exponents(bits: Array, form: Format) -> Array:
    field: Array = bits >> form.mantissa & ((1 << form.exponent) - 1)
    return field


def _fulls(bits: Array, form: Format) -> Array:
    implied = (_exponents(bits, form) > 0).astype(np.int64) << form.mantissa
    full: Array = bits & ((1 << form.mantissa) - 1) | implied
    return full


def _choose_top(flat: Array, form: Format) -> int:
    """The largest exponent that more than one in 1,024 of some 16,384 finite values reach."""
    step = flat.size // 16384 + 1
    counts = np.bincount(_exponents(flat[::step], form), minlength=1 << form.exponent).tolist()
    above = 0
    for exponent in range(form.most, 1, -1):
        above += counts[exponent]
        if above > flat.size // step >> 10:
            return exponent
    return 1


def _lowest_bits(bits: Array, form: Format, top: int) -> tuple[int, int]:
    """The exponent of the lowest bit set in any value of either sign that is not escaped."""
    full, exponent = _fulls(bits, form), np.maximum(_exponents(bits, form), 1)
    position = np.frexp((full & -full).astype(np.float64))[1] - 1
    escaped = (exponent > min(top + ABOVE, form.most)) | (exponent < top - BELOW)
    found = np.where((full == 0) | escaped, _NONE, exponent - 1 + position)
    negative = bits >> (form.width - 1) != 0
    return int(np.where(negative, _NONE, found).min()), int(np.where(negative, found, _NONE).min())


def _levels(bits: Array, form: Format, top: int) -> Array:
    """0 for values that must be escaped."""
    exponent = np.maximum(_exponents(bits, form), 1)
    up = exponent - top + LEAD - form.mantissa
    full = _fulls(bits, form)
    size = np.where(up >= 0, full << np.clip(up, 0, 31), full >> np.clip(-up, 0, 31))
    level = np.where(bits >> (form.width - 1) != 0, ~size, size)
    return np.where(exponent > min(top + ABOVE, form.most), 0, level)


def _choose_predictor(bits: Array, form: Format, top: int) -> int:
    """The predictor of least squared error on some 4,096 values."""
    height, width = bits.shape
    if height < 2 or width < 2:
        return 9 if height > 1 else 8
    step = height * width // _SAMPLE + 1
    if step == 1:
        levels = _levels(bits, form, top)
    else:
        lower = np.arange(1, height, step)
        levels = _levels(bits[np.stack([lower - 1, lower], 1).reshape(-1)], form, top)
    levels = levels - int(levels.sum()) // levels.size
    rough = levels >> max(0, int(np.bitwise_or.reduce(np.abs(levels), axis=None)).bit_length() - 11)
    above, here = (rough[:-1], rough[1:]) if step == 1 else (rough[::2], rough[1::2])
    taps = np.stack([here[:, :-1], above[:, 1:], above[:, :-1], here[:, 1:]]).reshape(4, -1)
    products = taps @ taps.T
    weights = np.array([(*eighths, -8) for eighths in WEIGHTS])
    return int(np.einsum("pi,ij,pj->p", weights, products, weights).argmin())


def write(params: Params, out: BitWriter) -> None:
    """The fields that docs/floats.md lists."""
    out.put(params.top, 8)
    out.put(params.zeros, 1)
    out.put(params.same, 1)
    out.put(params.shape, 2)
    out.put(params.scale, 6)
    out.put(params.weight - LEAST_WEIGHT, 2)
    for grid in params.grid:
        put_list(out, grid)
    for predictor in params.predictor:
        out.put(predictor, 4)


def read(source: BitReader, form: Format, channels: int) -> Params:
    """Raises PayloadError."""
    top, zeros, same = source.get(8), bool(source.get(1)), bool(source.get(1))
    params = Params(top, zeros, same, source.get(2), source.get(6), source.get(2) + LEAST_WEIGHT)
    if not 1 <= top <= form.most or params.scale + TABLES > _SCALES:
        raise PayloadError("floats: a parameter is out of range")
    for grid in params.grid:
        grid += get_list(source, channels, 0, form.most + form.mantissa)
    params.predictor += [source.get(4) for _ in range(channels)]
    return params
