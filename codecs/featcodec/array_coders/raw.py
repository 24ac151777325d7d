"""`raw`: the symbols as they lie in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from featcodec.contract import Array, ArrayCoder, Buffer, Profile


@dataclass(frozen=True)
class Raw(ArrayCoder):
    """Symbols in C order, little-endian."""

    name: ClassVar[str] = "raw"

    def coded_size(self, count: int, dtype: np.dtype[Any]) -> int:
        return count * dtype.itemsize

    def encode(self, symbols: Array, profile: Profile | None) -> Buffer:
        return symbols.reshape(-1).view(np.uint8).data

    def decode(self, data: memoryview, shape: tuple[int, ...], dtype: np.dtype[Any], profile: Profile | None) -> Array:
        return np.frombuffer(data, dtype).reshape(shape)
