"""`clip`: few uniform levels over a range chosen for the least expected error."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import Any, ClassVar

import numpy as np

from featcodec.contract import Array, Profile, Quantiser
from featcodec.dtypes import FLOATS
from featcodec.parameters import integer
from featcodec.quantisers import ends, uniform
from featcodec.quantisers.laplace import AsymmetricLaplace, error, fit

_SAMPLE = 1 << 15  # values the density is fitted to; more would change it by less than 1 %
_COARSE = 36  # candidates for each end in the first search
_FINE = 9  # and in each refinement
_ROUNDS = 5


@dataclass(frozen=True)
class Clip(Quantiser):
    """Clips to the range of least expected error under a fitted density, then few uniform levels.

    Cohen & Bajic, "Lightweight Compression of Intermediate Neural Network Features for Collaborative
    Intelligence" (2021): fit an asymmetric Laplace density, choose the clipping range that minimises clipping
    plus quantisation error for the given number of levels, the ends of the range being reconstruction points.
    The equations are in `featcodec.quantisers.laplace`. The range is never wider than the data's.
    """

    name: ClassVar[str] = "clip"
    accepts: ClassVar[frozenset[str]] = FLOATS
    levels: int = integer(16, 2, 256, "number of levels")

    def symbol_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return uniform.symbol_dtype(self.levels - 1)

    def params_size(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
        return 2 * ends.stored_dtype(dtype).itemsize

    def quantise(self, array: Array, profile: Profile | None) -> tuple[Array, bytes]:
        flat = array.reshape(1, 1, -1)
        low, high = clip_range(self.name, array, self.levels)
        symbols = uniform.quantise(flat, low, high, self.levels - 1)
        return symbols.reshape(array.shape), ends.pack(low, high, array.dtype)

    def dequantise(self, symbols: Array, params: memoryview, dtype: np.dtype[Any], profile: Profile | None) -> Array:
        low, high = ends.unpack(self.name, params, dtype)
        values = uniform.dequantise(symbols.reshape(1, 1, -1), low, high, self.levels - 1, dtype)
        return values.reshape(symbols.shape)


def clip_range(stage: str, array: Array, levels: int) -> tuple[Array, Array]:
    """The best range as float64 arrays of shape (1,), exact in the stored dtype. Raises NonFiniteError."""
    smallest, largest = ends.extent(stage, array, tuple(range(array.ndim)))
    # Halves: the range of float64 values may overflow. The search then works on 0..1.
    bottom, span = smallest / 2, largest / 2 - smallest / 2
    if not span[0] > 0:
        return smallest, largest
    stride = -(-array.size // _SAMPLE) | 1  # odd, so as not to pick the same columns of every row
    values = np.sort(array.reshape(-1)[::stride])
    unit = (values / 2 if values.dtype.itemsize == 8 else values.astype(np.float64) / 2) - bottom
    low, high = search(fit(unit / span), levels - 1)
    stored = ends.stored_dtype(array.dtype)
    found = [(2 * (bottom + end * span)).astype(stored).astype(np.float64) for end in (low, high)]
    return np.clip(found[0], smallest, largest), np.clip(found[1], smallest, largest)


def search(density: AsymmetricLaplace, top: int) -> tuple[float, float]:
    """The (low, high) within 0..1 of least expected error for `top` + 1 levels: a coarse grid, then ever
    finer ones around the best point found. The error has a local minimum for each level that may come to lie
    on the mode, hence the grid."""
    # Beyond this many scales from the mode, clipping costs nothing measurable at any number of levels. With
    # few levels an end may lie on the other side of the mode, at most about one scale away.
    mode, reach, beyond = density.mode, 2 * log(top + 1) + 8, 1.5
    lows = np.linspace(max(0, mode - reach * density.left), min(1, mode + beyond * density.right), _COARSE)
    highs = np.linspace(max(0, mode - beyond * density.left), min(1, mode + reach * density.right), _COARSE)
    pitch = lows[1] - lows[0], highs[1] - highs[0]
    for _ in range(_ROUNDS):
        errors = error(density, lows[:, None], highs[None, :], top)
        errors[lows[:, None] > highs[None, :]] = np.inf
        row, column = divmod(int(np.argmin(errors)), errors.shape[1])
        best = float(lows[row]), float(highs[column])
        around = np.linspace(-1, 1, _FINE)
        lows = np.clip(best[0] + pitch[0] * around, 0, 1)
        highs = np.clip(best[1] + pitch[1] * around, 0, 1)
        pitch = (pitch[0] * 2 / (_FINE - 1), pitch[1] * 2 / (_FINE - 1))
    return best
