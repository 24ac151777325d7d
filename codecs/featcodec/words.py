"""Short forms for frequent parts of a spec in a frame: there a spec would be a twentieth of a small frame's bytes."""

from __future__ import annotations

from featcodec.errors import FrameError

WORDS = (
    "transform:step=",
    "|rans",
    "affine:bits=",
    "|zstd:level=",
    "|ctx",
    "|floats",
    "clip:levels=",
    "|shuffle",
)
"""Byte 0x80 + i of a stored spec stands for WORDS[i]. Never changed, only continued."""

_FIRST = 0x80


def shorten(spec: str) -> bytes:
    """A spec, printable ASCII, as a frame stores it."""
    stored = spec.encode("ascii")
    for index, word in enumerate(WORDS):
        stored = stored.replace(word.encode("ascii"), bytes((_FIRST + index,)))
    return stored


def expand(stored: bytes) -> str:
    """What `shorten` was given, also where it left words as they were. Raises FrameError."""
    try:
        parts = [WORDS[byte - _FIRST] if byte >= _FIRST else chr(byte) for byte in stored]
    except IndexError:
        raise FrameError(f"the frame's spec {stored!r} has words that are unknown to this version") from None
    if not stored or not all(0x20 <= byte <= 0x7E or byte >= _FIRST for byte in stored):
        raise FrameError(f"the frame's spec {stored!r} is empty or not printable ASCII")
    return "".join(parts)
