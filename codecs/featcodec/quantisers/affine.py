"""`affine`: uniform levels between the smallest and the largest value."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from featcodec.contract import Array, Profile, Quantiser
from featcodec.dtypes import FLOATS
from featcodec.parameters import choice, integer
from featcodec.quantisers import ends, uniform


@dataclass(frozen=True)
class Affine(Quantiser):
    """2**bits uniform levels from the minimum to the maximum, per tensor or per channel.

    Asymmetric quantisation as in Jacob et al., "Quantization and Training of Neural Networks for Efficient
    Integer-Arithmetic-Only Inference" (2018), eq. 1, with both ends as reconstruction points. The error is at
    most (max - min) / (2**bits - 1) / 2. Channels lie on axis -3; arrays of fewer dimensions have one.
    """

    name: ClassVar[str] = "affine"
    accepts: ClassVar[frozenset[str]] = FLOATS
    bits: int = integer(8, 1, 16, "bits a value")
    per: str = choice("tensor", ("tensor", "channel"), "whether every channel has its own range")

    @property
    def top(self) -> int:
        """The largest symbol."""
        return (1 << self.bits) - 1

    def symbol_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return uniform.symbol_dtype(self.top)

    def params_size(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> int:
        return 2 * ends.stored_dtype(dtype).itemsize * self._layout(shape)[1]

    def quantise(self, array: Array, profile: Profile | None) -> tuple[Array, bytes]:
        planes = array.reshape(self._layout(array.shape))
        low, high = ends.extent(self.name, planes, (0, 2))
        symbols = uniform.quantise(planes, low, high, self.top)
        return symbols.reshape(array.shape), ends.pack(low, high, array.dtype)

    def dequantise(self, symbols: Array, params: memoryview, dtype: np.dtype[Any], profile: Profile | None) -> Array:
        low, high = ends.unpack(self.name, params, dtype)
        planes = symbols.reshape(self._layout(symbols.shape))
        return uniform.dequantise(planes, low, high, self.top, dtype).reshape(symbols.shape)

    def _layout(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """The array as (outer, channels, inner); all inner when there is one range."""
        if self.per == "tensor" or len(shape) < 3:
            return 1, 1, math.prod(shape)
        return math.prod(shape[:-3]), shape[-3], shape[-2] * shape[-1]
