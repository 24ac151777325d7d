"""Symbol statistics of the transform's coefficients as integer tables for the coder.

The magnitude of a coefficient relative to the step decides on its table, so that the same few dozen tables serve every
step: they are counted over a ladder of steps at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import featcodec
from splitnet.calibrate.context import CAP, Context, fit_context, no_context
from splitnet.calibrate.geometry import Geometry
from splitnet.calibrate.solve import Transform

Array = np.ndarray[Any, np.dtype[Any]]

POINT_SHARE = 0.25
"""How far a reconstruction point goes from the middle of its interval to the centroid. The centroid has the least
squared error but takes energy out of the features, which costs a network more than noise does. KL divergence at block7
of EfficientNet-Lite0 and a step of 2.2: 0.041 nats at the centroid, 0.027 in the middle, 0.037 half as far beyond."""

TABLES, RADIUS, POINTS = 64, 255, 9
"""Number of tables (a quarter octave apart), largest magnitude in one, magnitudes with a reconstruction point."""

_TOTAL = 1 << 14
_ZERO_CLASS = 80
"""Class (1/8 octaves) of an expected magnitude of one: class 0 is 2^-10."""

COUNTED = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0)
"""Steps whose symbols are counted, in standard deviations."""

_COUNTED_MAPS = 100

_FITTED = (1.0, 1.5, 2.0, 2.5)


def profile_of(
    geometry: Geometry,
    transform: Transform,
    coefficients: Array,
    metadata: Mapping[str, str],
    seed: int,
    advance: Callable[[], None] = lambda: None,
) -> featcodec.TransformProfile:
    """The profile for a transform, with statistics of float32 `coefficients` (N, B, P, C).

    `advance` is called after each of the steps of `COUNTED`.
    """
    means = np.abs(coefficients).mean((0, 1), dtype=np.float64)
    classes = np.rint(8 * np.log2(np.maximum(means, 2.0**-20))) + _ZERO_CLASS
    scales = np.clip(classes, 0, 255).astype(np.uint8)

    def profile(tables: Array, points: Array, expected: Array, context: Context) -> featcodec.TransformProfile:
        return featcodec.make_profile(
            geometry=np.array([*geometry.shape, *geometry.side], np.int32),
            frequencies=geometry.frequencies(),
            bands=geometry.bands(),
            mean=transform.mean.astype(np.float32),
            analysis=transform.analysis.astype(np.float32),
            scales=scales,
            tables=tables,
            points=points,
            expected=expected,
            context_offsets=context.offsets,
            context_weights=context.weights,
            context_prior=context.prior,
            metadata=metadata,
        )

    # First what needs no context, then the context, then the tables for what it leaves.
    plain = profile(
        _tables(np.zeros((TABLES, 2 * RADIUS + 2))), _no_points(), np.zeros(TABLES, np.uint16), no_context()
    )
    expected = _expected(plain, coefficients)
    points = _points(plain, coefficients)
    context = _context(geometry, plain, coefficients, expected, seed)
    before = profile(plain.tables, points, expected, context)
    counts = np.zeros((TABLES, 2 * RADIUS + 2))
    stride = -(-len(coefficients) // _COUNTED_MAPS)
    for index, step in enumerate(COUNTED):
        # Other photos for each step: a photo's symbols at two steps say nearly the same.
        for one in _quantise(coefficients[index % stride :: stride], step):
            counts += _histogram(before.context_tables(one, step), one)
        advance()
    return profile(_tables(counts), points, expected, context)


def _quantise(coefficients: Array, step: float) -> Array:
    symbols: Array = np.clip(np.rint(coefficients / np.float32(step)), -32767, 32767).astype(np.int16)
    return symbols


def _no_points() -> Array:
    return np.zeros((TABLES, POINTS), np.float32)


def _expected(plain: featcodec.TransformProfile, coefficients: Array) -> Array:
    """Mean magnitude by table, times 64, uint16 (T,)."""
    total, count = np.zeros(TABLES), np.zeros(TABLES)
    for step in COUNTED:
        means = np.minimum(np.abs(_quantise(coefficients, step)), CAP).mean((0, 1), dtype=np.float64)
        chosen = plain.tables_of(step)
        total += np.bincount(chosen.ravel(), means.ravel(), TABLES)
        count += np.bincount(chosen.ravel(), minlength=TABLES)
    fallback = np.array([_laplace(table)[1] for table in range(TABLES)])
    # The prior of a few coefficients keeps tables that were hardly met near the theory.
    means = (total + 4 * fallback) / (count + 4)
    expected: Array = np.rint(64 * np.minimum(means, CAP)).astype(np.uint16)
    return expected


def _points(plain: featcodec.TransformProfile, coefficients: Array) -> Array:
    """`POINT_SHARE` of the mean of abs(y) / step - abs(s) by table and magnitude, float32 (T, POINTS)."""
    total, count = np.zeros(TABLES * POINTS), np.zeros(TABLES * POINTS)
    for step in COUNTED:
        chosen = np.broadcast_to(plain.tables_of(step), coefficients.shape)
        scaled = np.abs(coefficients) / np.float32(step)
        magnitude = np.rint(scaled)
        met = (magnitude > 0) & (magnitude < POINTS)
        key = chosen[met].astype(np.int64) * POINTS + magnitude[met].astype(np.int64)
        total += np.bincount(key, scaled[met] - magnitude[met], len(total))
        count += np.bincount(key, minlength=len(count))
    points: Array = (POINT_SHARE * total / (count + 10)).reshape(TABLES, POINTS).astype(np.float32)
    return points


def _context(
    geometry: Geometry, plain: featcodec.TransformProfile, coefficients: Array, expected: Array, seed: int
) -> Context:
    symbols = [_quantise(coefficients, step) for step in _FITTED]
    expectations: Sequence[Array] = [expected[plain.tables_of(step)] / 64 for step in _FITTED]
    return fit_context(geometry, symbols, expectations, seed)


def _histogram(tables: Array, symbols: Array) -> Array:
    """Counts (T, 2 RADIUS + 2) of symbols in the profile's order: 0, -1, 1, -2, 2, ..., then escapes."""
    values = symbols.astype(np.int64)
    place = np.where(values > 0, 2 * values, -2 * values - 1)
    place = np.where(values == 0, 0, np.minimum(place, 2 * RADIUS + 1))
    place = np.where(np.abs(values) > RADIUS, 2 * RADIUS + 1, place)
    key = tables.astype(np.int64) * (2 * RADIUS + 2) + place
    counts: Array = np.bincount(key.ravel(), minlength=TABLES * (2 * RADIUS + 2))
    return counts.reshape(TABLES, -1).astype(float)


def _tables(counts: Array) -> Array:
    """Frequencies, uint16 (T, S), each row of which sums to 2^14."""
    # Symmetric: the sign of a principal component is arbitrary.
    pairs = counts[:, 1:-1].reshape(len(counts), -1, 2).mean(2)
    rows = []
    for table, (zero, both, escape) in enumerate(zip(counts[:, 0], pairs, counts[:, -1], strict=True)):
        prior = _laplace(table)[0]
        strength = 200.0
        total = zero + 2 * both.sum() + escape + strength
        chance = np.concatenate([[zero + strength * prior[0]], np.repeat(both + strength * prior[1:], 2), [escape]])
        rows.append(_frequencies(chance / total))
    return np.stack(rows)


def _laplace(table: int) -> tuple[Array, float]:
    """Probabilities of the magnitudes 0 to RADIUS (one sign each) for a Laplace distribution of a table's expected
    magnitude, and the mean magnitude of its symbols.
    """
    scale = 2.0 ** ((2 * table - _ZERO_CLASS) / 8)
    n = np.arange(1, RADIUS + 1)
    sides = np.exp(-(n - 0.5) / scale) * -math.expm1(-1 / scale) / 2
    return np.concatenate([[-math.expm1(-0.5 / scale)], sides]), float(2 * (n * sides).sum())


def _frequencies(chances: Array) -> Array:
    """Integers that sum to 2^14, none of a likely symbol zero, the escape's at least one."""
    wanted = chances * _TOTAL
    frequencies = np.where(wanted >= 1 / 16, np.maximum(np.rint(wanted), 1), 0).astype(np.int64)
    frequencies[-1] = max(frequencies[-1], 1)
    missing = _TOTAL - int(frequencies.sum())
    while missing:
        # The largest pays: it feels it least.
        largest = int(frequencies.argmax())
        amount = max(missing, -(int(frequencies[largest]) // 2))
        frequencies[largest] += amount
        missing -= amount
    return frequencies.astype(np.uint16)
