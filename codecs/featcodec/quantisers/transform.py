"""`transform`: a calibrated block transform (DCT, then a matrix for each band of frequencies), uniform rounding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from featcodec._native import kernels
from featcodec.contract import Array, Profile, TransformQuantiser
from featcodec.errors import InputError, NonFiniteError, ProfileError
from featcodec.parameters import number
from featcodec.profile import TransformProfile
from featcodec.profile_step import ProfileAtStep
from featcodec.quantisers import dct

_MOST = 32767
_MOST_FLOAT16 = 65504.0
_FLOAT32 = np.dtype("<f4")
_PART = 1 << 20  # values transformed at once


@dataclass(frozen=True)
class Transform(TransformQuantiser):
    """DCT of blocks and a calibrated matrix for each band of frequencies, then one step for all coefficients.

    The profile (docs/profile.md) is a `TransformProfile`; arrays are (C, H, W) or (1, C, H, W) as its features are, or
    (C,) where H = W = 1. Values that are not finite are errors, as are symbols beyond int16.
    """

    name: ClassVar[str] = "transform"
    accepts: ClassVar[frozenset[str]] = frozenset({"float16", "float32"})
    step: float = number(1.0, 0.001, 1024, "distance of neighbouring levels, in standard deviations of the features")

    def symbol_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return np.dtype("<i2")

    def features_shape(self, profile: Profile | None) -> tuple[int, ...]:
        return (1, *_checked(profile).shape)

    def symbols_shape(self, shape: tuple[int, ...], profile: Profile | None) -> tuple[int, ...]:
        own = _checked(profile)
        wanted = own.shape
        plain = shape[1:] if len(shape) == 4 and shape[0] == 1 else shape
        if plain != wanted and not (wanted[1:] == (1, 1) and prod(shape) == wanted[0] == shape[-1]):
            raise InputError(f"transform: the profile is of features {wanted}, not {shape}")
        return own.symbols_shape

    def coder_profile(self, profile: Profile | None) -> ProfileAtStep:
        return _checked(profile).at(self.step)

    def quantise(self, array: Array, profile: Profile | None) -> tuple[Array, bytes]:
        own = _checked(profile)
        self.symbols_shape(array.shape, own)
        with np.errstate(all="ignore"):  # what overflows is found below
            levels = analyse(array.reshape(own.shape).astype(np.float32), own) / np.float32(self.step)
        np.rint(levels, out=levels)
        extreme = float(np.abs(levels).max())
        if extreme <= _MOST:
            return levels.astype("<i2"), b""
        if np.isfinite(array).all() and np.isfinite(extreme):
            raise InputError(
                f"transform: a coefficient is {extreme:.6g} steps of {self.step:g}, beyond {_MOST}; take a larger step"
            )
        raise NonFiniteError("transform takes finite features: NaN, infinity or a value near float32's end found")

    def reconstruct(self, symbols: Array, profile: Profile | None) -> Array:
        at_step = self.coder_profile(profile)
        return reconstruct(symbols, at_step)

    def synthesise(self, coefficients: Array, dtype: np.dtype[Any], profile: Profile | None) -> Array:
        own = _checked(profile)
        with np.errstate(all="ignore"):
            return synthesise(coefficients, own, dtype)


def _checked(profile: Profile | None) -> TransformProfile:
    if not isinstance(profile, TransformProfile):
        raise ProfileError(f"transform needs a TransformProfile, not {type(profile).__name__}")
    return profile


def analyse(features: Array, profile: TransformProfile) -> Array:
    """float32 coefficients (B, P, C) of float32 features (C, H, W); a step of 1."""
    coefficients = np.empty(profile.symbols_shape, np.float32)
    for rows, blocks in _parts(profile):
        centred = features[:, rows] - profile.mean[:, None, None]
        frequencies = dct.forward(centred, profile.blocks)[:, profile.frequencies]
        coefficients[blocks] = _by_band(frequencies, profile.analysis, profile.bands)
    return coefficients


def synthesise(coefficients: Array, profile: TransformProfile, dtype: np.dtype[Any] = _FLOAT32) -> Array:
    """Features (C, H, W) of float32 coefficients (B, P, C); as float16, clamped to its finite numbers."""
    features = np.empty(profile.shape, dtype)
    for rows, blocks in _parts(profile):
        part = features[:, rows]
        frequencies = np.empty_like(coefficients[blocks])
        frequencies[:, profile.frequencies] = _by_band(coefficients[blocks], profile.synthesis, profile.bands)
        values = dct.inverse(frequencies, profile.blocks, part.shape)
        values += profile.mean[:, None, None]
        if dtype.itemsize == 2:
            np.clip(values, -_MOST_FLOAT16, _MOST_FLOAT16, out=values)
        part[:] = values
    return features


def _parts(profile: TransformProfile) -> Iterator[tuple[slice, slice]]:
    """Rows of blocks, as rows of pixels and as blocks: as many at once as keep the temporaries small."""
    (channels, height, width), h = profile.shape, profile.blocks[0]
    step = max(1, _PART // (channels * h * width))
    across = width // profile.blocks[1]
    for first in range(0, height // h, step):
        last = min(first + step, height // h)
        yield slice(first * h, last * h), slice(first * across, last * across)


def reconstruct(symbols: Array, at_step: ProfileAtStep) -> Array:
    """float32 coefficients of int16 symbols (B, P, C): sign and magnitude, moved to the calibrated point."""
    if kernels is None or not symbols.flags.aligned:
        return reconstruct_reference(symbols, at_step)
    coefficients = np.empty(symbols.shape, np.float32)
    tables = at_step.tables.reshape(-1)
    kernels.reconstruct(symbols.reshape(-1), tables, at_step.values, at_step.step, coefficients.reshape(-1))
    return coefficients


def reconstruct_reference(symbols: Array, at_step: ProfileAtStep) -> Array:
    """The reference of the kernel, bit for bit."""
    magnitudes = np.abs(symbols.astype(np.int32))
    values = at_step.values
    near = np.minimum(magnitudes, values.shape[1] - 1)
    found = values[at_step.tables[None], near]
    found = np.where(near == magnitudes, found, magnitudes.astype(np.float32) * at_step.step)
    coefficients: Array = np.where(symbols < 0, -found, found)
    return coefficients


def _by_band(rows: Array, matrices: Array, bands: Array) -> Array:
    """Each row (B, its P, C) times its band's matrix."""
    made = np.empty_like(rows)
    ends = np.searchsorted(bands, np.arange(len(matrices) + 1))
    for band, matrix in enumerate(matrices):
        part = slice(ends[band], ends[band + 1])
        np.matmul(rows[:, part], matrix.T, out=made[:, part])
    return made
