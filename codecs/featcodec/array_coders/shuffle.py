"""`shuffle`: byte planes, which byte coders compress better than interleaved bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from featcodec.contract import Array, ArrayCoder, Buffer, Profile


@dataclass(frozen=True)
class Shuffle(ArrayCoder):
    """Byte planes: the lowest byte of every symbol, then the second lowest, and so on."""

    name: ClassVar[str] = "shuffle"

    def coded_size(self, count: int, dtype: np.dtype[Any]) -> int:
        return count * dtype.itemsize

    def encode(self, symbols: Array, profile: Profile | None) -> Buffer:
        planes = symbols.reshape(-1).view(np.uint8).reshape(-1, symbols.dtype.itemsize).T
        return np.ascontiguousarray(planes).reshape(-1).data

    def decode(self, data: memoryview, shape: tuple[int, ...], dtype: np.dtype[Any], profile: Profile | None) -> Array:
        planes = np.frombuffer(data, np.uint8).reshape(dtype.itemsize, -1)
        return np.ascontiguousarray(planes.T).reshape(-1).view(dtype).reshape(shape)
