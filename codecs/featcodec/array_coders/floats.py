"""`floats`: lossless coding of float32, float16 and bfloat16 feature maps. docs/floats.md describes the payload."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any, ClassVar

import numpy as np

from featcodec._native import kernels
from featcodec.array_coders import floats_reference
from featcodec.array_coders.ctx import view
from featcodec.array_coders.floats_model import BFLOAT16, FLOAT16, FLOAT32, Format
from featcodec.contract import Array, ArrayCoder, Buffer, Profile
from featcodec.errors import PayloadError

_RAW = 0
# bfloat16 symbols have the dtype of their bits.
_FORMATS: dict[str, Format] = {"float32": FLOAT32, "float16": FLOAT16, "uint16": BFLOAT16}


@dataclass(frozen=True)
class Floats(ArrayCoder):
    """Floats, lossless to the bit: predicted from neighbours, and without bits that a channel never uses."""

    name: ClassVar[str] = "floats"
    accepts: ClassVar[frozenset[str]] = frozenset(_FORMATS)

    def coded_size(self, count: int, dtype: np.dtype[Any]) -> None:
        return None

    def encode(self, symbols: Array, profile: Profile | None) -> Buffer:
        form = _FORMATS[symbols.dtype.name]
        aligned = symbols if symbols.flags.aligned else symbols.copy()
        bits = aligned.view(f"<u{symbols.dtype.itemsize}").reshape(view(symbols.shape))
        coded: bytes = (
            floats_reference.encode(bits, form) if kernels is None else kernels.floats_encode(bits, form.exponent)
        )
        return coded if len(coded) <= bits.nbytes else bytes((_RAW,)) + bits.tobytes()

    def decode(self, data: memoryview, shape: tuple[int, ...], dtype: np.dtype[Any], profile: Profile | None) -> Array:
        if not len(data) or data[0] not in (_RAW, floats_reference.MODE):
            raise PayloadError("floats: an unknown mode" if len(data) else "floats: the payload is cut short")
        mode, body = data[0], data[1:]
        if mode == _RAW:
            if len(body) != prod(shape) * dtype.itemsize:
                raise PayloadError("floats: raw values of another size than the tensor's")
            return np.frombuffer(body, dtype).reshape(shape)
        form = _FORMATS[dtype.name]
        if kernels is None:
            bits = floats_reference.decode(body, view(shape), form)
        else:
            bits = np.empty(view(shape), f"<u{dtype.itemsize}")
            try:
                kernels.floats_decode(np.frombuffer(body, np.uint8), form.exponent, bits)
            except RuntimeError as error:
                raise PayloadError(f"floats: {error}") from error
        return bits.view(dtype).reshape(shape)
