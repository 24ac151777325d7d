"""The two ends of a uniform quantiser as a tensor's parameters: `low, high` pairs, one a channel."""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np

from featcodec._native import kernels
from featcodec.contract import Array
from featcodec.errors import NonFiniteError, PayloadError

_FLOAT32 = np.dtype(np.float32)
_ONE = {4: "<ff", 8: "<dd"}
_LARGEST = {bytes_: float(np.finfo(f"f{bytes_}").max) for bytes_ in (2, 4, 8)}


def stored_dtype(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """How an end of an array of `dtype` is stored: float64 for float64, else float32 (exact either way)."""
    return np.dtype("<f8" if dtype.itemsize == 8 else "<f4")


def extent(stage: str, array: Array, axes: tuple[int, ...]) -> tuple[Array, Array]:
    """Smallest and largest value over `axes` as float64. Raises NonFiniteError."""
    # + 0.0 turns -0.0 into 0.0, so that equal arrays give equal frames.
    if array.size == math.prod(array.shape[axis] for axis in axes):
        if kernels is not None and array.dtype == _FLOAT32:
            least, greatest = kernels.extent(array.reshape(-1))
        else:
            least, greatest = float(array.min()), float(array.max())
        one = least + 0.0, greatest + 0.0
        if not (math.isfinite(one[0]) and math.isfinite(one[1])):
            raise _not_finite(stage)
        return np.array(one[:1]), np.array(one[1:])
    low = np.atleast_1d(array.min(axis=axes)).astype(np.float64) + 0.0
    high = np.atleast_1d(array.max(axis=axes)).astype(np.float64) + 0.0
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise _not_finite(stage)
    return low, high


def _not_finite(stage: str) -> NonFiniteError:
    return NonFiniteError(f"{stage} takes finite values only, the array holds NaN or infinity; clean it or use none")


def pack(low: Array, high: Array, dtype: np.dtype[Any]) -> bytes:
    """The parameters for ends that `stored_dtype` represents exactly."""
    if low.size == 1:
        return struct.pack(_ONE[stored_dtype(dtype).itemsize], float(low[0]), float(high[0]))
    return np.stack([low, high], axis=-1).astype(stored_dtype(dtype)).tobytes()


def unpack(stage: str, params: memoryview, dtype: np.dtype[Any]) -> tuple[Array, Array]:
    """Both ends as float64 (channel,). Raises PayloadError for ends that no encoder writes."""
    stored = stored_dtype(dtype)
    largest = _LARGEST[dtype.itemsize]
    if len(params) == 2 * stored.itemsize:
        one = struct.unpack(_ONE[stored.itemsize], params)
        if not -largest <= one[0] <= one[1] <= largest:
            raise _bad_range(stage, dtype)
        return np.array(one[:1]), np.array(one[1:])
    pairs = np.frombuffer(params, stored).reshape(-1, 2)
    if not (np.abs(pairs) <= largest).all() or (pairs[:, 0] > pairs[:, 1]).any():
        raise _bad_range(stage, dtype)
    return pairs[:, 0].astype(np.float64), pairs[:, 1].astype(np.float64)


def _bad_range(stage: str, dtype: np.dtype[Any]) -> PayloadError:
    return PayloadError(f"{stage}: the ends of the range must be finite {dtype.name} and ascending")
