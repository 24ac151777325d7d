"""The two ends of a uniform quantiser as a tensor's parameters: `low, high` pairs, one a channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from featcodec.contract import Array
from featcodec.errors import NonFiniteError, PayloadError


def stored_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """How an end of an array of `dtype` is stored: float64 for float64, else float32 (exact either way)."""
    return np.dtype("<f8" if dtype.itemsize == 8 else "<f4")


def extent(stage: str, array: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Smallest and largest value over `axes` as float64. Raises NonFiniteError."""
    # + 0.0 turns -0.0 into 0.0, so that equal arrays give equal frames.
    low = np.atleast_1d(array.min(axis=axes)).astype(np.float64) + 0.0
    high = np.atleast_1d(array.max(axis=axes)).astype(np.float64) + 0.0
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise NonFiniteError(f"{stage} takes finite values only, the array holds NaN or infinity; clean it or use none")
    return low, high


def pack(low: Array, high: Array, dtype: np.dtype[Any]) -> bytes:
    """The parameters for ends that `stored_dtype` represents exactly."""
    return np.stack([low, high], axis=-1).astype(stored_dtype(dtype)).tobytes()


def unpack(stage: str, params: memoryview, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """Both ends as float64 (channel,). Raises PayloadError for ends that no encoder writes."""
    pairs = np.frombuffer(params, stored_dtype(dtype)).reshape(-1, 2)
    largest = np.finfo(dtype).max
    if not (np.abs(pairs) <= largest).all() or (pairs[:, 0] > pairs[:, 1]).any():
        raise PayloadError(f"{stage}: the ends of the range must be finite {dtype.name} and ascending")
    return pairs[:, 0].astype(np.float64), pairs[:, 1].astype(np.float64)
