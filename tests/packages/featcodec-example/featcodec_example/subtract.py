"""A quantiser that needs a profile: rounds what is left after subtracting a calibrated mean."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import featcodec


@dataclass(frozen=True)
class MeanProfile:
    """The profile: one number and its fingerprint."""

    mean: float
    fingerprint: bytes


@dataclass(frozen=True)
class Subtract(featcodec.Quantiser):
    """Rounds (x - mean) / step to int16."""

    name: ClassVar[str] = "subtract"
    profile_use: ClassVar[str] = "required"
    accepts: ClassVar[frozenset[str]] = frozenset({"float32"})
    step: float = featcodec.number(1.0, 1e-6, 1e6, "distance of neighbouring levels")

    def symbol_dtype(self, dtype):
        return np.dtype("<i2")

    def quantise(self, array, profile):
        return np.rint((array - profile.mean) / self.step).astype("<i2"), b""

    def dequantise(self, symbols, params, dtype, profile):
        return (symbols * self.step + profile.mean).astype(dtype)
