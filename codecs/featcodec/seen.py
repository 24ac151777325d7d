"""Frames whose head was seen before: a stream of one device differs in payloads alone, so its head is parsed once.

All that is not exactly as expected goes the long way, which also knows what is wrong with it.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from featcodec.contract import Array, Buffer, Profile
from featcodec.header import FrameInfo
from featcodec.limits import Limits
from featcodec.profile import TransformProfile
from featcodec.quantisers.transform import Transform
from featcodec.spec import Spec
from featcodec.wire import varint

_KEPT = 16  # heads of one profile
_SPEC_AT = 5  # where the length of the spec stands
_NO_EXTENSIONS = b"\0"
_CHECKSUM = 4
_INT16 = np.dtype("<i2")


@dataclass(frozen=True, slots=True)
class Head:
    """All before the payload's size in a frame of one float32 array, and what it says."""

    data: bytes
    spec: Spec
    step: float
    rank: int
    count: int
    """Elements."""


def remember(frame: memoryview, header: FrameInfo, spec: Spec, profile: Profile | None) -> None:
    """Keep the head of a frame that was decoded; nothing where it is of no use, or enough are kept."""
    if not isinstance(profile, TransformProfile) or not isinstance(spec.quantiser, Transform):
        return
    tensor = header.tensors[0]
    tail = varint(tensor.payload_bytes) + _NO_EXTENSIONS
    end = len(frame) - _CHECKSUM - tensor.payload_bytes - len(tail)
    if not header.extensions and frame[end : end + len(tail)] == tail and len(profile.heads) < _KEPT:
        head = Head(bytes(frame[:end]), spec, spec.quantiser.step, len(tensor.shape), tensor.count)
        profile.heads[_key(head.data)] = head


def decode_seen(frame: Buffer, profiles: Mapping[bytes, Profile], limits: Limits) -> Array | None:
    """float32 coefficients (B, P, C) of a frame with a head that was seen; None: go the long way.

    Raises PayloadError.
    """
    if len(profiles) != 1 or not isinstance(frame, bytes) or len(frame) <= _SPEC_AT:
        return None
    (profile,) = profiles.values()
    if not isinstance(profile, TransformProfile):
        return None
    head = profile.heads.get(_key(frame))
    if head is None or not frame.startswith(head.data) or not _within(limits, head, len(frame)):
        return None
    begin = _payload_at(frame, len(head.data))
    view = memoryview(frame)
    if not begin or zlib.crc32(view[:-_CHECKSUM]) != int.from_bytes(view[-_CHECKSUM:], "little"):
        return None
    at_step = profile.at(head.step)
    return head.spec.coder.decode_coefficients(view[begin:-_CHECKSUM], at_step.shape, _INT16, at_step)


def _key(frame: bytes) -> bytes:
    """The spec as it is stored."""
    return frame[_SPEC_AT + 1 : _SPEC_AT + 1 + frame[_SPEC_AT]]


def _payload_at(frame: bytes, at: int) -> int:
    """Where the payload begins if its size and "no extensions" stand at `at` and nothing but it and the checksum
    follows; else 0."""
    rest = len(frame) - at - len(_NO_EXTENSIONS) - _CHECKSUM
    for width in (2, 1, 3, 4):
        if rest >= width:
            size = varint(rest - width)
            if len(size) == width and frame.startswith(size + _NO_EXTENSIONS, at):
                return at + width + len(_NO_EXTENSIONS)
    return 0


def _within(limits: Limits, head: Head, size: int) -> bool:
    return (
        size <= limits.frame_bytes
        and head.count <= limits.elements
        and 4 * head.count <= limits.decoded_bytes
        and head.rank <= limits.rank
        and limits.tensors >= 1
    )
