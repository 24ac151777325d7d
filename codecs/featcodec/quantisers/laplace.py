"""The asymmetric Laplace density: its maximum-likelihood fit and the error of quantising it.

With mode m, left scale a and right scale b,

    f(x) = c exp((x - m) / a)  for x < m,    c exp(-(x - m) / b)  for x >= m,    c = 1 / (a + b).    (1)

**Fit.** With L(m) the mean of max(m - x, 0) and R(m) the mean of max(x - m, 0), the log-likelihood a value is
-log(a + b) - L/a - R/b. Its derivatives vanish at a^2 = L (a + b) and b^2 = R (a + b), so

    a = sqrt(L) (sqrt(L) + sqrt(R)),    b = sqrt(R) (sqrt(L) + sqrt(R)),                            (2)

where the log-likelihood is -2 log(sqrt(L) + sqrt(R)) - 1. L and R are linear in m between neighbouring data
values, so sqrt(L) + sqrt(R) is concave there: its minimum, the best m, is one of the data values
(Kotz, Kozubowski & Podgorski, "The Laplace Distribution and Generalizations", 2001, section 3.5).

**Error.** Quantise to r_i = low + i d, i = 0..n, d = (high - low) / n, values beyond the ends included. An
antiderivative of (y - r)^2 exp(-y / b) is -b exp(-y / b) P(y - r), P(u) = u^2 + 2 b u + 2 b^2. Let y = x - m
and let r_k be the point nearest to the mode. Summed over the cells right of the mode, the terms of two
neighbouring cells at their common edge t_j = r_j + d/2 - m leave b exp(-t_j / b) (P(-d/2) - P(d/2)), so

    right = c b [ r^2 - 2 b r + 2 b^2 - 2 b d (exp(-t_k / b) + ... + exp(-t_(n-1) / b)) ],  r = r_k - m,  (3)

a geometric sum of n - k terms with ratio exp(-d / b). The left half mirrors it with a, m - r_k and k terms.
The total is the expected clipping plus quantisation error of Cohen & Bajic, "Lightweight Compression of
Intermediate Neural Network Features for Collaborative Intelligence" (2021), without their assumption that the
density is flat within a cell; the few levels that matter there make cells wide.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class AsymmetricLaplace:
    """Density (1). A scale of 0 means that side is empty."""

    mode: float
    left: float
    right: float


def fit(ordered: Doubles) -> AsymmetricLaplace:
    """Maximum-likelihood fit (2) to sorted finite values, shape (count,), count >= 1, of magnitude about 1."""
    count = ordered.size
    below = np.cumsum(ordered)
    rank = np.arange(1, count + 1)
    left = np.maximum(rank * ordered - below, 0) / count
    right = np.maximum((below[-1] - below) - (count - rank) * ordered, 0) / count
    best = int(np.argmin(np.sqrt(left) + np.sqrt(right)))
    low, high = float(np.sqrt(left[best])), float(np.sqrt(right[best]))
    return AsymmetricLaplace(float(ordered[best]), low * (low + high), high * (low + high))


def error(density: AsymmetricLaplace, low: Doubles, high: Doubles, top: int) -> Doubles:
    """Expected squared error of `top` + 1 uniform levels from `low` to `high` (arrays that broadcast)."""
    step = (high - low) / top
    offset = low - density.mode
    with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
        nearest = np.where(step > 0, np.clip(np.rint(-offset / step), 0, top), 0)
    point = offset + nearest * step
    total = _half(density.right, point, step, top - nearest) + _half(density.left, -point, step, nearest)
    scale = density.left + density.right
    return total / scale if scale > 0 else point**2


def _half(scale: float, point: Doubles, step: Doubles, edges: Doubles) -> Doubles:
    """(3) without its factor c: the error on one side of the mode, from which `point` is the nearest level's
    signed distance and beyond which `edges` cell edges lie."""
    if scale == 0:
        return np.zeros_like(point)
    with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
        ratio = -np.expm1(-step / scale)
        terms = -np.expm1(-edges * (step / scale)) / ratio
        edge_sum = np.exp(-(point + step / 2) / scale) * np.where(ratio > 0, terms, edges)
    inner: Doubles = point**2 - 2 * scale * point + 2 * scale**2 - 2 * scale * step * edge_sum
    return scale * inner
