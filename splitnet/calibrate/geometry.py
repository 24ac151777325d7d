"""How the feature maps of a cut are laid out for the transform: blocks, frequencies in scan order, bands."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from featcodec.quantisers import dct

Array = np.ndarray[Any, np.dtype[Any]]

MAX_SIDE = 16
"""Largest side of a block in pixels: beyond it a block spans objects that have little to do with each other."""

_EDGES = (0.04, 0.09, 0.18, 0.29, 0.43, 0.58, 0.72, 0.93)
"""Limits between the bands: hypot(u / h, v / w), 0 for a block's mean, below 1 along an axis. Measured at block7 of
EfficientNet-Lite0: two bands need 12 % more bytes, four 5 % more."""


@dataclass(frozen=True)
class Geometry:
    """Blocks of `side` (h, w) pixels of maps of `shape` (C, H, W)."""

    shape: tuple[int, int, int]
    side: tuple[int, int]

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return self.shape[1] // self.side[0], self.shape[2] // self.side[1]

    @property
    def symbols(self) -> tuple[int, int, int]:
        """Shape of the symbols of one map: blocks, frequencies, components."""
        return math.prod(self.grid), math.prod(self.side), self.shape[0]

    def frequencies(self) -> Array:
        """Raster index u w + v of every frequency in scan order, uint16, shape (P,): lowest first."""
        order = np.lexsort((np.arange(math.prod(self.side)), self._radius()))
        return order.astype(np.uint16)

    def bands(self) -> Array:
        """Band of every row of the scan, uint8, shape (P,); the first holds the mean of a block alone."""
        found = np.digitize(np.sort(self._radius()), _EDGES)
        return np.unique(found, return_inverse=True)[1].astype(np.uint8)

    def _radius(self) -> Array:
        u, v = (np.arange(size) / size for size in self.side)
        return np.round(np.hypot(u[:, None], v[None, :]).ravel(), 9)

    def spectrum(self, maps: Array) -> Array:
        """Orthonormal DCT-II of every block: maps (N, C, H, W) -> float32 (N, B, P, C), frequencies in scan order."""
        features = maps.reshape(-1, *self.shape).astype(np.float32, copy=False)
        return np.stack([dct.forward(one, self.side) for one in features])[:, :, self.frequencies()]

    def inverse_spectrum(self, spectra: Array) -> Array:
        """What `spectrum` was computed from: (N, B, P, C) -> float32 maps (N, C, H, W)."""
        raster = np.empty_like(spectra)
        raster[:, :, self.frequencies()] = spectra
        return np.stack([dct.inverse(one, self.side, self.shape) for one in raster])


def geometry(shape: Sequence[int]) -> Geometry:
    """The layout for a cut's shape without the batch: (C, H, W), or (C,) as maps of one pixel.

    Blocks are the largest of at most 16 pixels a side that tile the map.
    """
    channels, height, width = (*shape, 1, 1)[:3] if len(shape) == 1 else shape
    return Geometry((channels, height, width), (_divisor(height), _divisor(width)))


def _divisor(size: int) -> int:
    return max(side for side in range(1, min(size, MAX_SIDE) + 1) if size % side == 0)
