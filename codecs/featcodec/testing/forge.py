"""Building frames by hand, for frames no encoder writes."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable

import numpy as np

import featcodec
from featcodec.contract import ArrayCoder, Quantiser
from featcodec.frame import MAGIC, VERSION
from featcodec.registry import stage_class, stage_names
from featcodec.testing.profiles import small_profile
from featcodec.wire import varint

UINT8, FLOAT32 = 5, 10  # codes of dtypes


def with_checksum(body: bytes) -> bytes:
    """`body` (a frame without its last 4 bytes) and the checksum that makes it right."""
    return body + struct.pack("<I", zlib.crc32(body))


def stage_specs() -> dict[str, str]:
    """For each stage that works without a profile, a short spec that uses it on float32."""
    specs = {}
    for name in stage_names():
        cls = stage_class(name)
        if cls.profile_use == "required":
            continue
        if issubclass(cls, ArrayCoder) and "float32" not in cls.accepts:
            specs[name] = f"affine|{name}"
        else:
            specs[name] = name if issubclass(cls, Quantiser) else f"none|{name}"
    return specs


def profile_specs() -> dict[str, str]:
    """Specs of the built-in stages that need a profile, by unique names; `small_profile` fits `small_frame`."""
    return {
        "transform": "transform:step=0.5",
        "transform-rans": "transform:step=0.5|rans",
        "transform-rans-order-0": "transform:step=0.01|rans:context=0",
    }


def small_frame(spec: str) -> bytes:
    """A frame of a 2x2x3 float32 array, alike enough for byte coders to find repeats."""
    array = np.array([1, -0.5, 1, 1, -0.5, 1, 1, -0.5, 1, 2, 1, -0.5], np.float32).reshape(2, 2, 3)
    profile = small_profile() if featcodec.parse_spec(spec).needs_profile else None
    return featcodec.encode(array, spec, profile=profile)


def tensor(
    dtype: int = FLOAT32,
    shape: Iterable[int] = (2,),
    params: bytes = b"",
    payload_size: int = 8,
    rank: int | None = None,
) -> bytes:
    """A tensor's part of the header, true or not."""
    sides = list(shape)
    head = bytes((dtype, len(sides) if rank is None else rank))
    return head + b"".join(map(varint, sides)) + varint(len(params)) + params + varint(payload_size)


def frame(
    tensors: Iterable[bytes],
    payload: bytes = bytes(8),
    *,
    spec: bytes = b"none|raw",
    fingerprint: bytes = b"",
    count: int | None = None,
    extensions: bytes = b"\0",
) -> bytes:
    """A frame of given parts, with a right checksum and otherwise true or not."""
    parts = list(tensors)
    head = MAGIC + bytes((VERSION, len(spec))) + spec + bytes((len(fingerprint),)) + fingerprint
    head += bytes((len(parts) if count is None else count,)) + b"".join(parts)
    return with_checksum(head + extensions + payload)
