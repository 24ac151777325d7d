"""Fit the coder's context model: how the magnitudes of earlier rows foretell those of the next."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from splitnet.calibrate.geometry import Geometry

Array = np.ndarray[Any, np.dtype[Any]]

_PARENTS = ((0, 0, 1, 0), (0, 0, 0, 1), (0, 0, 1, 1), (0, 0, 2, 0), (0, 0, 0, 2))
_FARTHER = ((0, 0, 2, 1), (0, 0, 1, 2), (0, 0, 2, 2), (0, 0, 3, 0), (0, 0, 0, 3))
_BLOCKS = ((0, 1, 0, 0), (1, 0, 0, 0), (1, 1, 0, 0))

CAP = 127
"""Magnitudes count up to this, as in the coder."""

_SAMPLES = 80_000
_ROUNDS = 200
_ROWS = 8_000


@dataclass(frozen=True)
class Context:
    """The context tensors of a profile, see docs/profile.md."""

    offsets: Array
    weights: Array
    prior: Array


def no_context() -> Context:
    """A model that says nothing: order 0."""
    return Context(np.zeros((0, 4), np.int8), np.zeros((0, 2), np.uint8), np.array([1, 0], np.int32))


def fit_context(geometry: Geometry, symbols: Sequence[Array], expectations: Sequence[Array], seed: int) -> Context:
    """Weights that code a sample of symbols in the fewest bits, under a Laplace distribution.

    Parameters
    ----------
    symbols
        For each of several steps: int16 (N, B, P, C).
    expectations
        For each step: mean magnitude of every coefficient, (P, C).
    """
    offsets = [*_PARENTS, *_FARTHER, *(_BLOCKS if math.prod(geometry.grid) > 1 else ())]
    generator = np.random.default_rng(seed)
    parts = [
        _sample(geometry, offsets, one, expected, _SAMPLES // len(symbols), generator)
        for one, expected in zip(symbols, expectations, strict=True)
    ]
    found, counts = np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])
    if not len(found) or not found.any():
        return no_context()
    magnitude, mean = (np.concatenate([p[index] for p in parts]) for index in (2, 3))
    weights, alpha, beta = _descend(found, counts, magnitude, mean, seed)
    return _integers(np.array(offsets, np.int8), weights.reshape(-1, 2), alpha, beta)


def _sample(
    geometry: Geometry,
    offsets: Sequence[tuple[int, ...]],
    symbols: Array,
    expected: Array,
    size: int,
    generator: np.random.Generator,
) -> tuple[Array, Array, Array, Array]:
    """Sums found and expected for each term (own, row, own, row, ...), magnitudes, and their means; float32."""
    magnitudes = np.minimum(np.abs(symbols.astype(np.int32)), CAP).astype(np.float32)
    rows, expected_rows = magnitudes.sum(-1), expected.sum(-1)
    usable = np.argwhere(expected > 0.004)
    if not len(usable):
        empty = np.zeros((0, 2 * len(offsets)), np.float32)
        return empty, empty, empty[:, 0], empty[:, 0]
    photo = generator.integers(0, len(symbols), size)
    block = generator.integers(0, symbols.shape[1], size)
    j, c = usable[generator.integers(0, len(usable), size)].T
    found, counts = [], []
    for offset in offsets:
        blocks, scan = _referred(geometry, offset)
        there, row = blocks[block], scan[j]
        present = (there >= 0) & (row >= 0) & ((there < block) | ((there == block) & (row < j)))
        found += [np.where(present, magnitudes[photo, there, row, c], 0), np.where(present, rows[photo, there, row], 0)]
        counts += [np.where(present, expected[row, c], 0), np.where(present, expected_rows[row], 0)]
    return (
        np.stack(found, 1).astype(np.float32),
        np.stack(counts, 1).astype(np.float32),
        magnitudes[photo, block, j, c],
        expected[j, c].astype(np.float32),
    )


def _referred(geometry: Geometry, offset: Sequence[int]) -> tuple[Array, Array]:
    """For each block and each row of the scan the one that the offset refers to, or -1."""
    (rows, columns), (h, w) = geometry.grid, geometry.side
    i, j = np.divmod(np.arange(rows * columns), columns)
    i, j = i - offset[0], j - offset[1]
    blocks = np.where((i >= 0) & (i < rows) & (j >= 0) & (j < columns), i * columns + j, -1)
    order = geometry.frequencies().astype(np.int64)
    place = np.empty(h * w, np.int64)
    place[order] = np.arange(h * w)
    u, v = np.divmod(order, w)
    u, v = u - offset[2], v - offset[3]
    inside = (u >= 0) & (u < h) & (v >= 0) & (v < w)
    return blocks, np.where(inside, place[np.where(inside, u * w + v, 0)], -1)


def _descend(found: Array, counts: Array, magnitude: Array, mean: Array, seed: int) -> tuple[Array, float, float]:
    """Minimise the bits over log weights, log alpha and beta: Adam (Kingma and Ba, 2015) on small batches."""
    generator = np.random.default_rng(seed)
    terms = found.shape[1]
    values = np.concatenate([np.full(terms, -2.0), [0.0, 0.7]])
    first, second = np.zeros_like(values), np.zeros_like(values)
    for turn in range(1, _ROUNDS + 1):
        chosen = generator.integers(0, len(found), _ROWS)
        slope = _slope(values, found[chosen], counts[chosen], magnitude[chosen], mean[chosen])
        first += 0.1 * (slope - first)
        second += 0.001 * (slope**2 - second)
        values -= 0.05 * (first / (1 - 0.9**turn)) / (np.sqrt(second / (1 - 0.999**turn)) + 1e-8)
    return np.exp(values[:terms]), float(np.exp(values[terms])), float(values[terms + 1])


def _slope(values: Array, found: Array, counts: Array, magnitude: Array, mean: Array) -> Array:
    """Gradient of the mean code length in nats: a magnitude s under a Laplace distribution of mean b costs
    -ln(1 - exp(-1 / 2b)) for s = 0, else 1 / 2b - ln(1 - exp(-1 / b)) + (s - 1) / b + ln 2.
    """
    weights, alpha, beta = np.exp(values[:-2]), np.exp(values[-2]), values[-1]
    num, den = alpha + found @ weights, alpha + counts @ weights
    ratio = np.log(num / den)
    b = np.maximum(mean * np.exp(beta * ratio), 1e-3)
    half, whole = np.exp(-0.5 / b), np.exp(-1 / b)
    by_log = np.where(
        magnitude == 0,
        0.5 * half / (b * (1 - half)),
        (whole / (1 - whole) + 0.5 - magnitude) / b,
    )
    by_weights = beta * (by_log / num @ found - by_log / den @ counts) * weights
    by_alpha = beta * alpha * (by_log * (1 / num - 1 / den)).sum()
    slope: Array = np.concatenate([by_weights, [by_alpha, (by_log * ratio).sum()]]) / len(mean)
    return slope


def _integers(offsets: Array, weights: Array, alpha: float, beta: float) -> Context:
    unit = 255 / float(weights.max())
    # Where weights are tiny beside the prior, its limit of 2^20 decides on the unit.
    unit = min(unit, (1 << 20) / (64 * alpha))
    rounded = np.rint(weights * unit).astype(np.uint8)
    useful = rounded.any(1)
    prior = np.array([max(1, round(64 * alpha * unit)), round(256 * min(max(beta, 0.0), 2.0))], np.int32)
    return Context(offsets[useful], rounded[useful], prior)
