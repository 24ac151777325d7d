"""Rate-fidelity curves: bytes at a level of KL divergence, BD-rate, bootstrap intervals.

A curve is two arrays of one value a setting: mean bytes and mean KL divergence in nats. Everything happens on
(log KL, log bytes), where curves of codecs are close to straight lines.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from splitnet.runtime import Array

LEVELS = (0.045, 0.04, 0.025, 0.011)
RESAMPLES = 1000
SEED = 20


def log_softmax(logits: Array) -> Array:
    """Natural logarithms of the softmax over the last axis, float64."""
    values = logits.astype(np.float64)
    values -= values.max(-1, keepdims=True)
    result: Array = values - np.log(np.exp(values).sum(-1, keepdims=True))
    return result


def divergence(reference: Array, answer: Array) -> float:
    """KL(reference || answer) in nats, of two arrays of log probabilities; never below 0."""
    return max(0.0, float((np.exp(reference) * (reference - answer)).sum()))


def frontier(size: Array, kl: Array) -> tuple[Array, Array]:
    """The settings that no other beats in both: (log KL, log bytes), KL rising and bytes falling, strictly.

    What is left is a monotone curve, so that each level of KL has one number of bytes. A KL of 0 (lossless) has no
    logarithm and is left out.
    """
    points = sorted((float(b), float(k)) for b, k in zip(size, kl, strict=True) if k > 0)
    kept: list[tuple[float, float]] = []
    for b, k in points:
        if not kept or k < kept[-1][1]:
            kept.append((b, k))
    kept.reverse()
    return np.log([k for _, k in kept]), np.log([b for b, _ in kept])


def bytes_at(size: Array, kl: Array, level: float) -> float:
    """Bytes at a level of KL, piecewise linear on the frontier; NaN beyond its ends: a curve is never prolonged."""
    log_kl, log_bytes = frontier(size, kl)
    if not log_kl.size or not log_kl[0] <= np.log(level) <= log_kl[-1]:
        return float("nan")
    return float(np.exp(np.interp(np.log(level), log_kl, log_bytes)))


def bd_rate(size: Array, kl: Array, anchor_size: Array, anchor_kl: Array) -> float:
    """Bytes against the anchor's in percent, averaged over log KL where both curves are; NaN without overlap.

    G. Bjontegaard, *Calculation of average PSNR differences between RD-curves*, VCEG-M33 (2001), with log KL in PSNR's
    place, and monotone cubic pieces (F. Fritsch and R. Carlson, 1980) for the one cubic over all points, as the
    common test conditions of HEVC and VVC have it since JCTVC-B055: a polynomial swings between unevenly spaced points.
    """
    x, y = frontier(size, kl)
    u, v = frontier(anchor_size, anchor_kl)
    if x.size < 2 or u.size < 2:
        return float("nan")
    low, high = max(x[0], u[0]), min(x[-1], u[-1])
    if low >= high:
        return float("nan")
    difference = (_integral(x, y, low, high) - _integral(u, v, low, high)) / (high - low)
    return float(100 * np.expm1(difference))


def _integral(x: Array, y: Array, low: float, high: float) -> float:
    """Of the monotone cubic interpolant, exactly: Simpson's rule is exact for each cubic piece."""
    slopes = _slopes(x, y)
    edges = np.concatenate(([low], x[(x > low) & (x < high)], [high]))
    left, right = edges[:-1], edges[1:]
    piece = np.clip(np.searchsorted(x, (left + right) / 2) - 1, 0, x.size - 2)
    h = x[piece + 1] - x[piece]

    def value(at: Array) -> Array:
        t = (at - x[piece]) / h
        result: Array = (
            (1 + 2 * t) * (1 - t) ** 2 * y[piece]
            + t * (1 - t) ** 2 * h * slopes[piece]
            + t**2 * (3 - 2 * t) * y[piece + 1]
            + t**2 * (t - 1) * h * slopes[piece + 1]
        )
        return result

    return float(((right - left) / 6 * (value(left) + 4 * value((left + right) / 2) + value(right))).sum())


def _slopes(x: Array, y: Array) -> Array:
    """Fritsch and Carlson's: weighted harmonic means of the neighbouring secants, one-sided at the ends.

    The frontier falls throughout, so secants never differ in sign.
    """
    h, secant = np.diff(x), np.diff(y) / np.diff(x)
    if secant.size == 1:
        return np.repeat(secant, 2)
    inner = 3 * (h[:-1] + h[1:]) / ((2 * h[1:] + h[:-1]) / secant[:-1] + (h[1:] + 2 * h[:-1]) / secant[1:])
    ends = (_end(h[0], h[1], secant[0], secant[1]), _end(h[-1], h[-2], secant[-1], secant[-2]))
    return np.concatenate(([ends[0]], inner, [ends[1]]))


def _end(h: float, h_next: float, secant: float, secant_next: float) -> float:
    slope = ((2 * h + h_next) * secant - h * secant_next) / (h + h_next)
    return 0.0 if slope * secant <= 0 else slope


@dataclass(frozen=True, slots=True)
class Interval:
    """A value and its bootstrap 95 % interval; NaN ends where most resamples have no value."""

    value: float
    low: float = float("nan")
    high: float = float("nan")


def resamples(photos: int, count: int = RESAMPLES, seed: int = SEED) -> Array:
    """Weights (count, photos) whose rows sum to 1: how often each resample draws each photo.

    One matrix serves all curves, so that intervals of differences between curves are those of the same photos.
    """
    drawn = np.random.default_rng(seed).multinomial(photos, np.full(photos, 1 / photos), count)
    return drawn / photos


def bootstrap(weights: Array, statistic: Callable[[Array], float]) -> Interval:
    """`statistic` of mean weights, and its 2.5 and 97.5 % quantiles over the rows of `weights`."""
    value = statistic(np.full(weights.shape[1], 1 / weights.shape[1]))
    found = np.array([statistic(row) for row in weights])
    finite = found[np.isfinite(found)]
    if finite.size < 0.9 * found.size:
        return Interval(value)
    low, high = np.quantile(finite, (0.025, 0.975))
    return Interval(value, float(low), float(high))
