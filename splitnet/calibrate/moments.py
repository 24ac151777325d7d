"""Second moments of features and of gradients, per frequency band and fold."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from zipfile import BadZipFile

import numpy as np

from splitnet.calibrate.geometry import Geometry
from splitnet.files import write_whole

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass
class Moments:
    """Sums over the photos of each of K folds, float64.

    `signal` (K, G, C, C): products of the features' spectra, of the sensitivity (K, G, C, C) those of gradients'
    spectra; `first` (K, C): the sum of the lowest frequency; `photos` and `gradients` (K,) count.
    """

    signal: Array
    sensitivity: Array
    first: Array
    photos: Array
    gradients: Array
    rows: Array = field(repr=False)

    @classmethod
    def empty(cls, geometry: Geometry, folds: int) -> Self:
        """Nothing added yet."""
        blocks, _, channels = geometry.symbols
        rows = blocks * np.bincount(geometry.bands())
        square = (folds, len(rows), channels, channels)
        return cls(
            np.zeros(square),
            np.zeros(square),
            np.zeros((folds, channels)),
            np.zeros(folds),
            np.zeros(folds),
            rows,
        )

    def add_features(self, geometry: Geometry, maps: Array, folds: Array) -> None:
        """Add maps (N, C, H, W), one fold number each."""
        spectra = geometry.spectrum(maps)
        for fold in np.unique(folds):
            chosen = spectra[folds == fold]
            self.signal[fold] += _products(chosen, geometry)
            self.first[fold] += chosen[:, :, 0].sum((0, 1), dtype=np.float64)
            self.photos[fold] += len(chosen)

    def add_gradients(self, geometry: Geometry, gradients: Array, folds: Array) -> None:
        """Add one gradient (C, H, W) for each of N photos; may be called several times for the same photos."""
        spectra = geometry.spectrum(gradients)
        for fold in np.unique(folds):
            chosen = spectra[folds == fold]
            self.sensitivity[fold] += _products(chosen, geometry)
            self.gradients[fold] += len(chosen)

    def mean(self, folds: Array) -> Array:
        """Mean of the lowest frequency over the given folds, (C,): the channels' means times sqrt(h w)."""
        blocks = self.rows[0]
        total: Array = self.first[folds].sum(0) / (self.photos[folds].sum() * blocks)
        return total

    def covariances(self, folds: Array) -> Array:
        """Covariance of the features in each band, (G, C, C)."""
        found: Array = self.signal[folds].sum(0) / (self.photos[folds].sum() * self.rows)[:, None, None]
        mean = self.mean(folds)
        found[0] -= np.outer(mean, mean)
        return found

    def sensitivities(self, folds: Array) -> Array:
        """Mean outer product of the gradients in each band, (G, C, C): the Fisher matrices."""
        found: Array = self.sensitivity[folds].sum(0) / (self.gradients[folds].sum() * self.rows)[:, None, None]
        return found

    def save(self, path: Path, done: int) -> None:
        """Keep everything, and how many batches are in it, in one step. Raises OutputError."""
        arrays = {name: getattr(self, name) for name in _STATE}
        write_whole(path, lambda stream: np.savez(stream, done=np.array(done), **arrays))

    def restore(self, path: Path) -> int:
        """Take back what `save` kept, if it is there and whole; the number of batches in it."""
        try:
            # Opened here: numpy leaves a file open that turns out to be cut short.
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as kept:
                found = {name: kept[name] for name in _STATE}
                done = int(kept["done"])
        except (OSError, KeyError, ValueError, EOFError, BadZipFile):
            return 0
        if any(found[name].shape != getattr(self, name).shape for name in _STATE):
            return 0
        for name, value in found.items():
            setattr(self, name, value)
        return done


_STATE = ("signal", "sensitivity", "first", "photos", "gradients")


def _products(spectra: Array, geometry: Geometry) -> Array:
    bands = geometry.bands()
    channels = spectra.shape[-1]
    found = []
    for band in range(int(bands[-1]) + 1):
        rows = spectra[:, :, bands == band].reshape(-1, channels)
        found.append((rows.T @ rows).astype(np.float64))
    return np.stack(found)
