"""`float16`: IEEE half precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from featcodec.contract import Array, Profile, Quantiser
from featcodec.dtypes import FLOATS
from featcodec.errors import InputError

HALF = np.dtype("<f2")


@dataclass(frozen=True)
class Float16(Quantiser):
    """IEEE 754 binary16, rounded to nearest even; NaN stays NaN, a finite value never becomes infinite."""

    name: ClassVar[str] = "float16"
    accepts: ClassVar[frozenset[str]] = FLOATS

    def symbol_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return HALF

    def quantise(self, array: Array, profile: Profile | None) -> tuple[Array, bytes]:
        with np.errstate(over="ignore", invalid="ignore"):  # both are judged below
            halves = array.astype(HALF)
        refuse_overflow(self.name, array, np.isinf(halves))
        return halves, b""

    def dequantise(self, symbols: Array, params: memoryview, dtype: np.dtype[Any], profile: Profile | None) -> Array:
        with np.errstate(invalid="ignore"):  # widening a signalling NaN
            return symbols.astype(dtype, copy=False)


def refuse_overflow(stage: str, array: Array, infinite: Array) -> None:
    """Raise InputError when rounding made a finite value of `array` infinite, where `infinite` is true."""
    if infinite.any():
        lost = array[infinite & np.isfinite(array)]
        if lost.size:
            raise InputError(f"{stage} cannot represent {lost[0]}: scale the array down or use affine, clip or none")
