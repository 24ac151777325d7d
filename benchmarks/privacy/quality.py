"""How close a reconstruction is to the photo: PSNR, SSIM, and whether it can be told apart from other photos'."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from splitnet.runtime import Array

PEAK = 255.0
WINDOW, SIGMA = 11, 1.5
K1, K2 = 0.01, 0.03
SMALL = 28
_LUMA = np.array([0.299, 0.587, 0.114])
"""ITU-R BT.601, as the authors' own code turns colour into grey."""


def psnr(original: Array, other: Array) -> float:
    """Peak signal-to-noise ratio in dB of two uint8 arrays of one shape over all values; infinite where equal."""
    error = np.mean((original.astype(np.float64) - other.astype(np.float64)) ** 2)
    return float("inf") if error == 0 else float(10 * np.log10(PEAK**2 / error))


def ssim(original: Array, other: Array) -> float:
    """Mean structural similarity of two uint8 pictures (H, W, 3) or (H, W), on luminance; at most 1.

    Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli, *Image quality assessment: from error visibility to
    structural similarity* (2004), equation 13, with the paper's circular Gaussian window (11x11, standard deviation
    1.5) and constants, averaged over windows that lie in the picture. Raises ValueError for pictures under 11 pixels.
    """
    x, y = _grey(original), _grey(other)
    if min(x.shape) < WINDOW:
        raise ValueError(f"SSIM needs at least {WINDOW}x{WINDOW} pixels, not {x.shape[0]}x{x.shape[1]}")
    mean_x, mean_y = _blur(x), _blur(y)
    var_x, var_y = _blur(x * x) - mean_x**2, _blur(y * y) - mean_y**2
    covariance = _blur(x * y) - mean_x * mean_y
    c1, c2 = (K1 * PEAK) ** 2, (K2 * PEAK) ** 2
    found = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    found /= (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    return float(found.mean())


def low_pass(pixels: Array) -> Array:
    """Means of squares: (H, W, 3), H and W multiples of 28 -> float64 (28, 28, 3)."""
    height, width, channels = pixels.shape
    squares = pixels.reshape(SMALL, height // SMALL, SMALL, width // SMALL, channels).astype(np.float64)
    found: Array = squares.mean((1, 3))
    return found


def retrieval(originals: Sequence[Array], others: Sequence[Array]) -> Array:
    """Per photo, 1.0 where of all originals its own is the nearest to its reconstruction, Euclidean at 28x28, else 0.

    Guessing finds one in `len(originals)`.
    """
    known = np.stack([low_pass(one).ravel() for one in originals])
    seen = np.stack([low_pass(one).ravel() for one in others])
    squared = (seen**2).sum(1)[:, None] - 2 * seen @ known.T + (known**2).sum(1)
    found: Array = (squared.argmin(1) == np.arange(len(known))).astype(np.float64)
    return found


def _grey(pixels: Array) -> Array:
    values = pixels.astype(np.float64)
    found: Array = values @ _LUMA if values.ndim == 3 else values
    return found


def _blur(values: Array) -> Array:
    """Gaussian window, separable; only where it fits: (H, W) -> (H - 10, W - 10)."""
    taps = np.exp(-((np.arange(WINDOW) - WINDOW // 2) ** 2) / (2 * SIGMA**2))
    taps /= taps.sum()
    rows = np.lib.stride_tricks.sliding_window_view(values, WINDOW, 0) @ taps
    found: Array = np.lib.stride_tricks.sliding_window_view(rows, WINDOW, 1) @ taps
    return found
