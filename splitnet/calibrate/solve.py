"""From moments to the transform: whiten by the Fisher matrix, then take principal components, band by band.

A rounding error e of the features costs e' M e / 2 nats of KL divergence to second order, with M the Fisher information
of the output with respect to the features. After whitening by M^(1/2) every direction costs the same, so that one
step for all components of the KLT is the best choice at high rates (Chen et al. send features; the theory is that of
transform coding: V. Goyal, *Theoretical foundations of transform coding*, 2001).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from splitnet.calibrate.geometry import Geometry
from splitnet.errors import ModelError

Array = np.ndarray[Any, np.dtype[Any]]

RIDGE = 0.05
"""Added to each Fisher matrix, as a share of its mean eigenvalue: directions that no gradient met are not free."""


@dataclass(frozen=True)
class Transform:
    """`analysis` (G, C, C), float64: y = analysis z for the spectrum z of features minus `mean` (C,); y = 1 is one
    overall standard deviation of the features, for a matrix of determinant one."""

    mean: Array
    analysis: Array

    def coefficients(self, geometry: Geometry, maps: Array) -> Array:
        """Maps (N, C, H, W) -> float32 (N, B, P, C)."""
        centred = maps.reshape(-1, *geometry.shape) - self.mean[:, None, None].astype(np.float32)
        spectra = geometry.spectrum(centred)
        bands = geometry.bands()
        result = np.empty_like(spectra)
        for band, matrix in enumerate(self.analysis.astype(np.float32)):
            rows = bands == band
            result[:, :, rows] = spectra[:, :, rows] @ matrix.T
        return result


def solve(geometry: Geometry, mean: Array, covariances: Array, sensitivities: Array) -> Transform:
    """The transform for moments of the features (G, C, C) and of the output's sensitivity (G, C, C).

    Raises
    ------
    ModelError
        if the features do not vary or the output does not depend on them.
    """
    rows = np.bincount(geometry.bands()).astype(float)
    power = float((rows * np.trace(covariances, axis1=1, axis2=2)).sum() / (rows.sum() * len(mean)))
    if not np.isfinite(power) or power <= 0:
        raise ModelError("the features at this cut are the same for all photos: give photos that differ")
    strength = float((rows * np.trace(sensitivities, axis1=1, axis2=2)).sum())
    if not np.isfinite(strength) or strength <= 0:
        raise ModelError("the tasks' outputs do not depend on the features at this cut")
    analysis, volume = [], 0.0
    for weight, covariance, sensitivity in zip(rows, covariances, sensitivities, strict=True):
        root = _root(_ridged(sensitivity, strength / (rows.sum() * len(mean))))
        values, vectors = np.linalg.eigh(root @ covariance @ root)
        # The sign of an eigenvector is arbitrary: fixed, so that the same moments give the same profile.
        vectors = vectors[:, np.argsort(values)[::-1]]
        vectors *= np.where(vectors[np.abs(vectors).argmax(0), np.arange(len(mean))] < 0, -1.0, 1.0)
        analysis.append(vectors.T @ root)
        volume += weight * float(np.linalg.slogdet(analysis[-1])[1])
    scale = np.exp(-volume / (rows.sum() * len(mean))) / np.sqrt(power)
    return Transform(mean / np.sqrt(np.prod(geometry.side)), np.stack(analysis) * scale)


def _ridged(matrix: Array, overall: float) -> Array:
    # A band that no gradient met at all still needs a metric.
    amount = RIDGE * max(float(np.trace(matrix)) / len(matrix), 1e-3 * overall)
    ridged: Array = (matrix + matrix.T) / 2 + amount * np.eye(len(matrix))
    return ridged


def _root(matrix: Array) -> Array:
    values, vectors = np.linalg.eigh(matrix)
    root: Array = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root
