"""What every stage must satisfy; a stage's own test needs little more."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

import featcodec
from featcodec.contract import Array, Profile, Stage
from featcodec.registry import stage_class


def check_round_trip(spec: featcodec.Spec | str, array: Array, *, profile: Profile | None = None) -> Array:
    """Encode and decode `array`, assert all that holds for any codec, and return the decoded array.

    Asserts: dtype, shape and count as before; equal bytes if lossless; the result is the caller's own; the
    same frame from any bytes-like; encoding is deterministic and leaves its input alone; the header tells
    the truth. Raises what `encode` raises.
    """
    codec = spec if isinstance(spec, featcodec.Spec) else featcodec.parse_spec(spec)
    before = array.tobytes()
    frame = featcodec.encode(array, codec, profile=profile)
    assert featcodec.encode(array, str(codec), profile=profile) == frame, "encoding is not deterministic"
    assert array.tobytes() == before, "encoding changed its input"

    header = featcodec.info(frame)
    native = array.dtype.newbyteorder("=")
    assert (header.spec, header.frame_bytes, len(header.tensors)) == (str(codec), len(frame), 1)
    assert header.tensors[0].dtype.newbyteorder("=") == native
    assert header.tensors[0].shape == array.shape

    profiles = {profile.fingerprint: profile} if profile is not None else {}
    decoded = featcodec.decode(frame, profiles=profiles)
    assert decoded.dtype == native
    assert decoded.shape == array.shape
    assert decoded.flags.writeable
    assert decoded.flags.c_contiguous
    expected = decoded.tobytes()
    if codec.lossless:
        assert expected == array.astype(native).tobytes(), "lossless codec changed bytes"
    mutable = bytearray(frame)
    for buffer in (mutable, memoryview(frame), np.frombuffer(frame, np.uint8).data):
        assert featcodec.decode(buffer, profiles=profiles).tobytes() == expected
    again = featcodec.decode(mutable, profiles=profiles)
    mutable[:] = bytes(len(mutable))
    assert again.tobytes() == expected, "the array shares memory with the frame"
    return decoded


def check_config(stage: Stage) -> None:
    """Assert that a stage is a frozen, hashable dataclass that its own text describes fully."""
    assert stage_class(stage.name) is type(stage)
    assert hash(stage) == hash(dataclasses.replace(stage))
    assert stage == dataclasses.replace(stage)
    for parameter in dataclasses.fields(stage):
        try:
            setattr(stage, parameter.name, None)
        except dataclasses.FrozenInstanceError:
            continue
        raise AssertionError(f"{stage.name}.{parameter.name} can be changed")
    text = str(stage)
    parsed = featcodec.parse_spec(text if isinstance(stage, featcodec.Quantiser) else f"none|{text}")
    assert stage in (parsed.quantiser, parsed.coder, parsed.byte_coder)


def check_repr(stage: Stage) -> None:
    """Assert that a stage's repr, evaluated, gives an equal stage."""
    names: dict[str, Any] = {type(stage).__name__: type(stage)}
    assert eval(repr(stage), {"__builtins__": {}}, names) == stage
