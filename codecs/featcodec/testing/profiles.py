"""Small synthetic profiles of `transform`, and symbols that fit them. They need safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

import numpy as np

from featcodec.contract import Array
from featcodec.profile import TransformProfile, make_profile

LEAST = 2.0**-5  # the expected magnitude of the first table, in steps; the others follow in quarter octaves
_TABLES, _SYMBOLS, _POINTS = 48, 64, 16
_FALL = 2.2  # octaves that magnitudes fall over the components, and over the frequencies


def synthetic_profile(
    channels: int = 4,
    size: tuple[int, int] = (6, 6),
    block: tuple[int, int] = (3, 3),
    *,
    contexts: bool = True,
    bands: int = 2,
    seed: int = 0,
) -> TransformProfile:
    """A profile of Laplacian coefficients whose magnitudes fall with frequency and component; the same for the same
    arguments. At step 1.75, features of 80 channels in one block of 14 x 14 take about one bit a symbol."""
    random = np.random.default_rng(seed)
    rows = block[0] * block[1]
    scan = _scan(block)
    frequency = np.linspace(0, 1, rows)[:, None]
    component = np.linspace(0, 1, channels)
    octaves = 2.3 - _FALL * (1.2 * np.sqrt(frequency) + 1.6 * component)
    scales = np.clip(np.rint(8 * (octaves - np.log2(LEAST))), 0, 255)
    kinds = min(bands, rows)
    rotations = [np.linalg.qr(random.normal(size=(channels, channels)))[0] for _ in range(kinds)]
    means = LEAST * 2 ** (np.arange(_TABLES) / 4)
    offsets = [(0, 0, 1, 0), (0, 0, 0, 1), (0, 0, 1, 1), (0, 1, 0, 0), (1, 0, 0, 0), (1, -1, 0, 0)]
    return make_profile(
        geometry=(channels, *size, *block),
        frequencies=scan,
        bands=np.arange(rows) * kinds // rows,
        mean=random.normal(size=channels).astype(np.float32),
        analysis=np.array(rotations, np.float32),
        scales=scales.astype(np.uint8),
        tables=np.array([_counts(mean) for mean in means]),
        points=np.array([_points(mean) for mean in means], np.float32),
        expected=np.minimum(np.rint(64 * means), 64 * 127).astype(np.uint16),
        context_offsets=np.array(offsets if contexts else []).reshape(-1, 4),
        context_weights=np.array([(24, 1), (24, 1), (8, 0), (12, 1), (12, 1), (4, 0)] if contexts else []).reshape(
            -1, 2
        ),
        context_prior=(4096, 128),
        metadata={"network": "synthetic", "network_version": "1", "cut": "none", "method": "none", "seed": str(seed)},
    )


def synthetic_symbols(profile: TransformProfile, step: float, *, seed: int = 0) -> Array:
    """int16 (B, P, C): symbols drawn from any profile's own tables, magnitudes of neighbouring frequencies alike."""
    random = np.random.default_rng(seed)
    blocks, rows, _ = profile.symbols_shape
    noise = random.normal(0, 1, (blocks, *profile.blocks))
    for axis in (1, 2):
        noise = (noise + np.roll(noise, 1, axis)) / np.sqrt(2)
    octaves = (0.8 * noise - 0.2).reshape(blocks, rows, 1)[:, profile.frequencies]
    top = len(profile.tables) - 1
    tables = np.clip(profile.tables_of(step) + np.rint(4 * octaves).astype(np.int64), 0, top)
    slots = random.integers(0, 1 << 14, tables.shape)
    folded = np.empty(tables.shape, np.int64)
    for table in np.unique(tables):
        here = tables == table
        folded[here] = np.searchsorted(np.cumsum(profile.tables[table], dtype=np.int64), slots[here], side="right")
    return np.where(folded & 1, -(folded + 1) // 2, folded // 2).astype(np.int16)


@lru_cache(maxsize=1)
def small_profile() -> TransformProfile:
    """The profile of `hostile_frames`: 2 channels of 2 x 3 in blocks of 1 x 3, with contexts."""
    return synthetic_profile(2, (2, 3), (1, 3))


def small_profiles() -> Mapping[bytes, TransformProfile]:
    """What `decode` needs for `hostile_frames`."""
    return MappingProxyType({small_profile().fingerprint: small_profile()})


def _scan(block: tuple[int, int]) -> Array:
    """Diagonals, from the lowest frequencies up."""
    u, v = np.divmod(np.arange(block[0] * block[1]), block[1])
    return np.lexsort((u, u + v))


def _counts(mean: float) -> Array:
    """Counts of Laplacian symbols; what falls below half a count is left to the escape."""
    magnitudes = np.arange(1, _SYMBOLS // 2)
    sides = 0.5 * np.exp(-(magnitudes - 0.5) / mean) * -np.expm1(-1 / mean)
    counts = np.zeros(_SYMBOLS, np.int64)
    counts[1:-1:2] = counts[2:-1:2] = np.rint(sides * (1 << 14))
    counts[-1] = max(1, int(2 * sides[-1] * mean * (1 << 14)))
    counts[0] = (1 << 14) - counts[1:].sum()
    return counts


def _points(mean: float) -> Array:
    """Centroids of Laplacian values within each level."""
    return np.where(np.arange(_POINTS) > 0, mean - 1 / np.expm1(1 / mean) - 0.5, 0)
