"""Sizes of images as they are typed: HEIGHTxWIDTH."""

from __future__ import annotations

from splitnet.errors import UsageError
from splitnet.graph.sides import MOST_SIDE


def parse_size(text: str) -> tuple[int, int]:
    """``416x320`` -> (416, 320), height first. Raises UsageError for anything else, and beyond `MOST_SIDE` pixels."""
    sides = text.lower().split("x")
    # Of 5 digits at most: Python refuses to read endless numbers.
    if len(sides) != 2 or not all(
        side.isascii() and side.isdecimal() and len(side) < 6 and 0 < int(side) <= MOST_SIDE for side in sides
    ):
        raise UsageError(f"--size {text[:80]!r} is not HEIGHTxWIDTH in pixels up to {MOST_SIDE}, for example 416x416")
    return int(sides[0]), int(sides[1])
