"""What must hold of a profile's tensors; docs/profile.md lists it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NoReturn

import numpy as np

from featcodec.contract import Array
from featcodec.errors import ProfileError

TOTAL = 1 << 14  # a row of `tables` sums to it
MOST_TABLES, MOST_SYMBOLS, MOST_POINTS, MOST_TERMS = 128, 1024, 64, 16
MOST_VALUES = 1 << 28
MOST_EXPECTED = 64 * 127
_WORST_CONDITION = 1e10  # beyond it a float32 inverse says nothing

DTYPES = {
    "geometry": "int32",
    "frequencies": "uint16",
    "bands": "uint8",
    "mean": "float32",
    "analysis": "float32",
    "scales": "uint8",
    "tables": "uint16",
    "points": "float32",
    "expected": "uint16",
    "context_offsets": "int8",
    "context_weights": "uint8",
    "context_prior": "int32",
}
NAMES = tuple(DTYPES)


def check(arrays: Mapping[str, Array]) -> None:
    """Raise ProfileError, saying what is wrong, unless these are the tensors of a valid profile. Whether `analysis` can
    be inverted is left to `inverse`."""
    _names_and_dtypes(arrays)
    channels, rows = _geometry(arrays["geometry"], arrays["frequencies"])
    bands = _bands(arrays["bands"], rows)
    _shape(arrays, "mean", (channels,))
    _shape(arrays, "analysis", (bands, channels, channels))
    _shape(arrays, "scales", (rows, channels))
    tables = _tables(arrays["tables"])
    _points(arrays["points"], tables)
    _shape(arrays, "expected", (tables,))
    if arrays["expected"].max() > MOST_EXPECTED:
        _wrong(f"expected: {arrays['expected'].max()} is above {MOST_EXPECTED}")
    _contexts(arrays)
    for name in ("mean", "analysis"):
        if not np.isfinite(arrays[name]).all():
            _wrong(f"{name} holds NaN or infinity")


def inverse(analysis: Array) -> Array:
    """float32 (G, C, C): the inverse of each band's matrix, computed in float64. Raises ProfileError."""
    made = np.empty(analysis.shape, np.float32)
    for band, matrix in enumerate(analysis.astype(np.float64)):
        try:
            with np.errstate(all="ignore"):
                inverted = np.linalg.inv(matrix)
                made[band] = inverted
                condition = float(np.linalg.norm(matrix, 1) * np.linalg.norm(inverted, 1))
        except np.linalg.LinAlgError:
            condition = np.inf
        if not (condition < _WORST_CONDITION and np.isfinite(made[band]).all()):
            _wrong(f"analysis: the matrix of band {band} is singular (condition {condition:.1e})")
    made.flags.writeable = False
    return made


def _wrong(message: str) -> NoReturn:
    raise ProfileError(f"wrong profile: {message}")


def _names_and_dtypes(arrays: Mapping[str, Array]) -> None:
    for name in arrays.keys() - DTYPES.keys():
        _wrong(f"tensor {name!r:.40} is unknown")
    for name, dtype in DTYPES.items():
        if name not in arrays:
            _wrong(f"tensor {name!r} is missing")
        if arrays[name].dtype != np.dtype(dtype).newbyteorder("<"):
            _wrong(f"{name} is {arrays[name].dtype.name}, not {dtype}")


def _shape(arrays: Mapping[str, Array], name: str, wanted: tuple[int, ...]) -> None:
    if arrays[name].shape != wanted:
        _wrong(f"{name} has shape {arrays[name].shape}, not {wanted}")


def _geometry(geometry: Array, frequencies: Array) -> tuple[int, int]:
    """Channels and frequencies."""
    if geometry.shape != (5,):
        _wrong(f"geometry has shape {geometry.shape}, not (5,)")
    channels, height, width, rows, columns = geometry.tolist()
    text = f"geometry (C, H, W, h, w) = {tuple(geometry.tolist())}"
    if min(geometry.tolist()) < 1 or height % rows or width % columns:
        _wrong(f"{text}: blocks of h x w pixels must tile H x W")
    if channels * height * width > MOST_VALUES:
        _wrong(f"{text} has more than {MOST_VALUES:,} values")
    count = rows * columns
    if frequencies.shape != (count,):
        _wrong(f"frequencies has shape {frequencies.shape}, not ({count},)")
    if not np.array_equal(np.sort(frequencies), np.arange(count)) or frequencies[0] != 0:
        _wrong(f"frequencies is not a permutation of 0 to {count - 1} that begins with 0")
    return channels, count


def _bands(bands: Array, rows: int) -> int:
    """Their number."""
    if bands.shape != (rows,):
        _wrong(f"bands has shape {bands.shape}, not ({rows},)")
    steps = np.diff(bands.astype(np.int64), prepend=0)
    if steps[0] != 0 or bands[0] != 0 or steps.min() < 0 or steps.max() > 1:
        _wrong("bands must begin at 0 and rise by 0 or 1 along the scan")
    return int(bands[-1]) + 1


def _tables(tables: Array) -> int:
    """Their number."""
    if tables.ndim != 2 or not (1 <= tables.shape[0] <= MOST_TABLES and 2 <= tables.shape[1] <= MOST_SYMBOLS):
        _wrong(f"tables has shape {tables.shape}; at most {MOST_TABLES} rows of 2 to {MOST_SYMBOLS} counts are allowed")
    if tables.shape[1] % 2:
        _wrong(f"tables has {tables.shape[1]} columns: 0, pairs of -n and +n, and the escape make an even number")
    sums = tables.sum(axis=1, dtype=np.int64)
    for row in np.flatnonzero(sums != TOTAL):
        _wrong(f"tables: row {row} sums to {sums[row]}, not {TOTAL}")
    for row in np.flatnonzero(tables[:, -1] == 0):
        _wrong(f"tables: row {row} has no escape (its last count is 0)")
    return int(tables.shape[0])


def _points(points: Array, tables: int) -> None:
    if points.ndim != 2 or points.shape[0] != tables or not 1 <= points.shape[1] <= MOST_POINTS:
        _wrong(f"points has shape {points.shape}, not ({tables}, 1 to {MOST_POINTS})")
    if not (np.abs(points) < 1).all():
        _wrong("points must lie within -1 and 1")
    if points[:, 0].any():
        _wrong("points: column 0 must be 0")


def _contexts(arrays: Mapping[str, Array]) -> None:
    offsets, prior = arrays["context_offsets"], arrays["context_prior"]
    if offsets.ndim != 2 or offsets.shape[1] != 4 or offsets.shape[0] > MOST_TERMS:
        _wrong(f"context_offsets has shape {offsets.shape}, not (0 to {MOST_TERMS}, 4)")
    _shape(arrays, "context_weights", (offsets.shape[0], 2))
    _shape(arrays, "context_prior", (2,))
    if not 1 <= prior[0] <= 1 << 20:
        _wrong(f"context_prior: alpha is {prior[0]}, not 1 to {1 << 20}")
    if not 0 <= prior[1] <= 512:
        _wrong(f"context_prior: beta is {prior[1]}, not 0 to 512")
