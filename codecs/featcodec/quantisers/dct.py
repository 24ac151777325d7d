"""Orthonormal DCT-II of the blocks of a feature map, in float32."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from featcodec.contract import Array


@lru_cache(maxsize=32)
def matrix(size: int) -> Array:
    """float32 (size, size): row u = sqrt((2 - [u = 0]) / size) cos(pi (2 x + 1) u / (2 size)) over x. Read-only."""
    u, x = np.arange(size)[:, None], np.arange(size)
    waves = np.sqrt(2 / size) * np.cos(np.pi * (2 * x + 1) * u / (2 * size))
    waves[0] /= np.sqrt(2)
    made: Array = waves.astype(np.float32)
    made.flags.writeable = False
    return made


def forward(features: Array, block: tuple[int, int]) -> Array:
    """(C, H, W) -> (B, P, C): blocks in raster order, frequencies u, v in raster order."""
    (channels, height, width), (h, w) = features.shape, block
    down, across = height // h, width // w
    along_v = features.reshape(-1, w) @ matrix(w).T
    along_u = np.matmul(matrix(h), along_v.reshape(channels * down, h, width))
    split = along_u.reshape(channels, down, h, across, w)
    return np.ascontiguousarray(split.transpose(1, 3, 2, 4, 0)).reshape(down * across, h * w, channels)


def inverse(frequencies: Array, block: tuple[int, int], shape: tuple[int, ...]) -> Array:
    """(B, P, C) -> (C, H, W) of `shape`."""
    (channels, height, width), (h, w) = shape, block
    down, across = height // h, width // w
    split = frequencies.reshape(down, across, h, w, channels).transpose(4, 0, 2, 1, 3)
    along_v = np.ascontiguousarray(split).reshape(-1, w) @ matrix(w)
    along_u: Array = np.matmul(matrix(h).T, along_v.reshape(channels * down, h, width))
    return along_u.reshape(channels, height, width)
