"""`bfloat16`: the upper half of a float32."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from featcodec.contract import Array, Profile, Quantiser
from featcodec.dtypes import FLOATS
from featcodec.quantisers.float16 import refuse_overflow

SYMBOL = np.dtype("<u2")
_INFINITY = 0x7F80  # the symbol of infinity, and of the first power of 2 beyond float16
_TWO_TO_16 = 0x4780
_SINGLE = np.dtype("<f4")
_SINGLE_BITS = np.dtype("<u4")


@dataclass(frozen=True)
class BFloat16(Quantiser):
    """bfloat16 bit patterns as uint16, rounded to nearest even; NaN stays NaN."""

    name: ClassVar[str] = "bfloat16"
    accepts: ClassVar[frozenset[str]] = FLOATS

    def symbol_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return SYMBOL

    def quantise(self, array: Array, profile: Profile | None) -> tuple[Array, bytes]:
        with np.errstate(over="ignore", invalid="ignore"):
            single = array.astype(_SINGLE)
        bits = single.view(_SINGLE_BITS)
        if array.dtype.itemsize == 8:
            # float64 -> float32 may land on a tie that the float64 was not: nudge it back off the tie, or
            # the second rounding would go the wrong way.
            tie = ((bits & 0xFFFF) == 0x8000) & (single != array)
            outward = np.abs(array[tie]) > np.abs(single[tie])
            bits[tie] += np.where(outward, 1, -1).astype(np.int32).view(_SINGLE_BITS)
        nan = np.isnan(array)
        # Add just under half a unit, or exactly half where the kept part is odd; carries move into the
        # exponent as they should.
        rounded = ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(SYMBOL)
        if nan.any():
            rounded[nan] = ((bits[nan] >> 16) | 0x40).astype(SYMBOL)
        # Rounding a float16 may reach 65536, which bfloat16 holds and the decoded float16 does not.
        infinity = _TWO_TO_16 if array.dtype.itemsize == 2 else _INFINITY
        refuse_overflow(self.name, array, (rounded & 0x7FFF) >= infinity)
        return rounded, b""

    def dequantise(self, symbols: Array, params: memoryview, dtype: np.dtype[Any], profile: Profile | None) -> Array:
        bits = symbols.astype(_SINGLE_BITS)
        bits <<= 16
        single = bits.view(_SINGLE)
        with np.errstate(over="ignore", invalid="ignore"):  # a forged symbol may not fit float16
            return single.astype(dtype, copy=False)
