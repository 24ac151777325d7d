"""The sensitivity of a network that is only ONNX: noise into each principal direction, distortion out.

Without gradients the Fisher matrix of a band is measured along the principal components of the features alone:
diagonal in their basis. For noise of variance s^2 a coefficient along a unit direction v, in n coefficients, the mean
distortion is n s^2 v' M v / 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from splitnet.calibrate.geometry import Geometry

Array = np.ndarray[Any, np.dtype[Any]]

NOISE = 0.3
"""Energy of the noise in one direction: its variance relative to the features' variance in its band, so that what is
measured is about as large as the codec's own errors."""


def probe(
    geometry: Geometry,
    covariances: Array,
    maps: Array,
    distortion: Callable[[Array, Array], Array],
    seed: int,
    advance: Callable[[], None],
) -> Array:
    """Sensitivities (G, C, C) of `distortion` (maps, photo numbers -> (N,)) at maps (N, C, H, W).

    `covariances` (G, C, C) are the features'; `advance` is called after each direction.
    """
    generator = np.random.default_rng(seed)
    bands = geometry.bands()
    blocks, _, channels = geometry.symbols
    found = np.zeros_like(covariances)
    numbers = np.arange(len(maps))
    for band, covariance in enumerate(covariances):
        rows = np.flatnonzero(bands == band)
        values, vectors = np.linalg.eigh(covariance)
        floor = float(values.mean())
        measured = np.zeros(channels)
        for direction in range(channels):
            sigma = np.sqrt(NOISE * max(float(values[direction]), 0.05 * floor))
            noise = np.zeros((len(maps), *geometry.symbols), np.float32)
            amount = generator.standard_normal((len(maps), blocks, len(rows), 1)) * sigma
            noise[:, :, rows] = amount * vectors[:, direction].astype(np.float32)
            answers = distortion(maps + geometry.inverse_spectrum(noise).reshape(maps.shape), numbers)
            energy = float((amount**2).sum() / len(maps))
            measured[direction] = 2 * float(answers.mean()) / energy
            advance()
        found[band] = (vectors * measured) @ vectors.T
    return found
