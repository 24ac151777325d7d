"""Which table each channel of a tensor uses, and the header that says so: the reference of _native/rans_model.cpp.

Explicit tables, shared by groups of channels, or a parametric one per channel from a fixed family of integer tables;
the encoder takes the shorter description. docs/rans.md has the format.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import isqrt

import numpy as np

from featcodec.array_coders.bits import BitReader, BitWriter, best_rice, fold, get_list, put_list, unfold
from featcodec.array_coders.rans_core import (
    BITS,
    COST_BITS,
    TOP_LEVEL,
    TOTAL,
    costs,
    frequencies_of,
    level_of,
    normalise,
)
from featcodec.contract import Array
from featcodec.errors import PayloadError

WINDOW = 1024  # symbols of an explicit table, without the escape
_SHAPES, _SCALES, _REACH = 4, 40, 255
_CENTRE_LIMIT = 1 << 20
_ESCAPE_COST = 12 << COST_BITS
_FIXED = 30 << COST_BITS  # roughly what an explicit header has besides its lists
_MOST_GROUPS = 16
_ONE = 1 << 32


@dataclass(frozen=True)
class Model:
    """Symbol of a value = (value >> shift) - base, below `symbols`, or else the escape, which is `symbols`; base,
    symbols and table are those of the value's channel."""

    shift: int
    tables: list[list[int]]
    chosen: list[int]
    bases: list[int]
    symbols: list[int]


@dataclass(frozen=True)
class Counts:
    """How often each symbol and, last, the escape occurs in each channel: `of` is (channels, symbols + 1)."""

    shift: int
    base: int
    of: Array


@lru_cache(maxsize=1)
def _ratios() -> list[int]:
    """exp(-1 / scale) * 2^32 for scale = 2^(index / 4) / 8: four constants and square roots."""
    made = [1440801, 5145013, 15004422, 36905875]
    while len(made) < 52:
        made.append(isqrt(made[-4] << 32))
    return made


def _laplace(index: int) -> list[int]:
    ratio = _ratios()[index]
    made = [((_ONE - ratio) << 31) // (_ONE + ratio) * 2]
    while len(made) <= _REACH:
        made.append((made[-1] * ratio) >> 32)
    return made


def _logistic(index: int) -> list[int]:
    """Differences of the logistic distribution function 1 / (1 + ratio^x)."""
    ratio, power = _ratios()[index], _ratios()[index + 4]
    steps = []
    for _ in range(_REACH + 1):
        steps.append((1 << 62) // (_ONE + power))
        power = (power * ratio) >> 32
    return [(2 * steps[0] - (1 << 30)) * 4, *((after - before) * 4 for before, after in pairwise(steps))]


@lru_cache(maxsize=_SHAPES * _SCALES)
def member(shape: int, scale: int) -> tuple[list[int], int]:
    """A symmetric table of the family, frequencies of -reach..reach and of the escape; and its reach."""
    weights = _logistic(scale) if shape == 1 else _laplace(scale)
    if shape >= 2:
        wide = _laplace(scale + (8 if shape == 2 else 4))
        weights = [(3 * one + other) // 4 for one, other in zip(weights, wide, strict=True)]
    reach = 0
    while reach < _REACH and weights[reach + 1] >= _ONE // (2 * TOTAL):
        reach += 1
    both = weights[reach:0:-1] + weights[: reach + 1]
    return normalise([*both, max(1, _ONE - sum(both))]), reach


@lru_cache(maxsize=_SHAPES)
def _family(shape: int) -> tuple[list[int], Array]:
    """For each scale of a shape: the sum of |value| * frequency, and what each magnitude costs, (scales, reach + 2);
    the last column is beyond every table's reach."""
    price = np.empty((_SCALES, _REACH + 2), np.int64)
    means = []
    for scale in range(_SCALES):
        table, reach = member(shape, scale)
        price[scale] = costs()[table[-1]] + _ESCAPE_COST
        price[scale, : reach + 1] = costs()[table[reach : 2 * reach + 1]]
        means.append(sum(2 * n * table[reach + n] for n in range(1, reach + 1)))
    return means, price


def _bit_cost(bits: int) -> int:
    return bits << COST_BITS


class _Explicit:
    """Tables of groups of channels; the groups that have members are numbered anew in order."""

    def __init__(self, counts: Counts, groups: Array) -> None:
        used, self.map = np.unique(groups, return_inverse=True)
        sums = np.zeros((used.size, counts.of.shape[1]), np.int64)
        np.add.at(sums, self.map, counts.of)
        self.levels = [[level_of(int(count)) for count in row] for row in sums]
        self.tables = [frequencies_of(levels) for levels in self.levels]
        self.prices = costs()[np.array(self.tables)]
        self.bits = int((sums * self.prices).sum()) + sum(_bit_cost(best_rice(levels)[1]) for levels in self.levels)
        if used.size > 1:
            self.bits += _bit_cost(counts.of.shape[0] * (int(used.size) - 1).bit_length())


def _grouped(counts: Counts, groups: int) -> _Explicit:
    """Channels sorted by mean into equal parts, then three rounds in which each takes its cheapest table."""
    channels, width = counts.of.shape
    order = np.argsort(counts.of @ np.arange(width), kind="stable")
    start = np.empty(channels, np.int64)
    start[order] = np.arange(channels) * groups // channels
    found = _Explicit(counts, start)
    for _ in range(3 if groups > 1 else 0):
        found = _Explicit(counts, np.argmin(counts.of @ found.prices.T, axis=1))
    return found


class _Parametric:
    def __init__(self, counts: Counts, shape: int, centres: list[int], centred: bool) -> None:
        self.shape, self.centred, self.centres = shape, centred, centres
        means, price = _family(shape)
        self.scales: list[int] = []
        bits = before = 0
        values = counts.base + np.arange(counts.of.shape[1] - 1)
        for row, centre in zip(counts.of[:, :-1], centres, strict=True):
            away = np.minimum(np.abs(values - centre), _REACH + 1)
            magnitudes = np.zeros(_REACH + 2, np.int64)
            np.add.at(magnitudes, away, row)
            total, sum_ = int(row.sum()), int((np.minimum(away, _REACH) * row).sum())
            nearest = next((s for s in range(_SCALES - 1) if means[s] * total >= sum_ << BITS), _SCALES - 1)
            tried = sorted({before, *range(max(0, nearest - 3), min(_SCALES, nearest + 3))})
            prices = [int(magnitudes @ price[scale]) for scale in tried]
            rated = [cost + _bit_cost(abs(scale - before)) for cost, scale in zip(prices, tried, strict=True)]
            best = rated.index(min(rated))
            bits += prices[best]
            before = tried[best]
            self.scales.append(before)
        bits += _bit_cost(best_rice(self.scales)[1])
        self.bits = bits + (_bit_cost(best_rice(centres)[1]) if centred else 0)

    def write(self, header: BitWriter) -> None:
        header.put(self.shape, 2)
        header.put(self.centred, 1)
        put_list(header, self.scales)
        if self.centred:
            put_list(header, self.centres)


def _medians(counts: Counts) -> list[int]:
    """Of each channel, the first value that half of its values do not exceed."""
    inside = counts.of[:, :-1].cumsum(axis=1)
    return [counts.base + int(np.argmax(2 * row >= row[-1])) for row in inside]


def choose(counts: Counts, header: BitWriter) -> tuple[Model, int]:
    """The model of the shortest description, written to `header`, and its mode."""
    channels, width = counts.of.shape
    best = _grouped(counts, 1)
    groups = 2
    while groups <= min(_MOST_GROUPS, channels):
        further = _grouped(counts, groups)
        if further.bits >= best.bits:
            break
        best, groups = further, 2 * groups
    shortest = None
    if counts.shift == 0 and -_CENTRE_LIMIT < counts.base < _CENTRE_LIMIT - (width - 1):
        zeros, middle = [0] * channels, _medians(counts)
        ways = [(zeros, False)] if middle == zeros else [(zeros, False), (middle, True)]
        tried = [_Parametric(counts, shape, *way) for shape in range(_SHAPES) for way in ways]
        shortest = min(tried, key=lambda one: one.bits)
    if shortest is not None and shortest.bits < best.bits + _FIXED:
        shortest.write(header)
        return _from_scales(shortest.shape, shortest.scales, shortest.centres), 2
    folded = fold(counts.base)
    header.put(counts.shift, 6)
    header.put(folded.bit_length(), 7)
    header.put(folded, folded.bit_length())
    header.put(width - 2, 10)
    header.gamma(len(best.levels) - 1)
    for levels in best.levels:
        put_list(header, levels)
    for group in best.map.tolist():
        header.put(group, (len(best.levels) - 1).bit_length())
    return _from_tables(best.tables, best.map.tolist(), counts.shift, counts.base, width - 1), 1


def _from_tables(tables: list[list[int]], chosen: list[int], shift: int, base: int, symbols: int) -> Model:
    return Model(shift, tables, chosen, [base] * len(chosen), [symbols] * len(chosen))


def _from_scales(shape: int, scales: Sequence[int], centres: Sequence[int]) -> Model:
    known = list(dict.fromkeys(scales))
    members = {scale: member(shape, scale) for scale in known}
    reaches = [members[scale][1] for scale in scales]
    bases = [centre - reach for centre, reach in zip(centres, reaches, strict=True)]
    tables = [members[scale][0] for scale in known]
    return Model(0, tables, [known.index(scale) for scale in scales], bases, [2 * reach + 1 for reach in reaches])


def read_explicit(source: BitReader, channels: int) -> Model:
    """The model of mode 1. Raises PayloadError."""
    shift, width = source.get(6), source.get(7)
    if width > 64:
        raise PayloadError("rans: a number is too large")
    base = unfold(source.get(width))
    symbols = source.get(10) + 1
    count = source.gamma() + 1
    if count > channels:
        raise PayloadError("rans: more tables than channels")
    tables = [frequencies_of(get_list(source, symbols + 1, 0, TOP_LEVEL)) for _ in range(count)]
    chosen = [source.get((count - 1).bit_length()) for _ in range(channels)]
    if max(chosen) >= count:
        raise PayloadError("rans: a channel's table is missing")
    return _from_tables(tables, chosen, shift, base, symbols)


def read_parametric(source: BitReader, channels: int) -> Model:
    """The model of mode 2. Raises PayloadError."""
    shape, centred = source.get(2), source.get(1)
    scales = get_list(source, channels, 0, _SCALES - 1)
    centres = get_list(source, channels, -_CENTRE_LIMIT, _CENTRE_LIMIT) if centred else [0] * channels
    return _from_scales(shape, scales, centres)
