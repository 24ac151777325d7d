"""What a frame's header says, as objects."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

CRITICAL = 0x8000  # the bit of an extension's tag that forbids ignoring it


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a frame. `params` are its quantiser's parameters as stored."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    params: bytes
    payload_bytes: int

    @property
    def count(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of the decoded array."""
        return self.count * self.dtype.itemsize


@dataclass(frozen=True)
class Extension:
    """Additional data in a frame. Bit 15 of the tag set: a decoder that does not know it must refuse."""

    tag: int
    data: bytes

    @property
    def critical(self) -> bool:
        """Whether a decoder that does not know the tag must refuse the frame."""
        return bool(self.tag & CRITICAL)


@dataclass(frozen=True)
class FrameInfo:
    """A frame's header. `spec` is its text, which may name stages unknown here; `fingerprint` holds the
    leading bytes of the SHA-256 of the profile it needs (b"" for none)."""

    version: int
    spec: str
    fingerprint: bytes
    tensors: tuple[TensorInfo, ...]
    extensions: tuple[Extension, ...]
    frame_bytes: int

    @property
    def header_bytes(self) -> int:
        """Bytes that are not payload: header and checksum."""
        return self.frame_bytes - sum(tensor.payload_bytes for tensor in self.tensors)
