"""`none`: no quantisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from featcodec.contract import Array, Profile, Quantiser
from featcodec.errors import PayloadError

_BOOL = np.dtype(np.bool_)
_BYTE = np.dtype(np.uint8)


@dataclass(frozen=True)
class NoneQuantiser(Quantiser):
    """Every value as it is, of any supported dtype, NaN payloads included."""

    name: ClassVar[str] = "none"
    lossless: ClassVar[bool] = True

    def symbol_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        return _BYTE if dtype == _BOOL else dtype

    def quantise(self, array: Array, profile: Profile | None) -> tuple[Array, bytes]:
        return array.view(self.symbol_dtype(array.dtype)), b""

    def dequantise(self, symbols: Array, params: memoryview, dtype: np.dtype[Any], profile: Profile | None) -> Array:
        # numpy's behaviour is undefined for a bool that is neither 0 nor 1.
        if dtype == _BOOL and symbols.max() > 1:
            raise PayloadError(f"none: a bool is 0 or 1, not {symbols.max()}")
        return symbols.view(dtype)
