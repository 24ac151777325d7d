"""Sizes of images at which a network that takes any is tried."""

from __future__ import annotations

from collections.abc import Sequence

MOST_SIDE = 8192
"""Of an image, in pixels."""


MARGIN = 4
"""Positions on a free axis beyond its share: maps of convolutions without padding grow a little faster than images. A
tensor whose axis needs more is no cut."""


def joined(shape: Sequence[int]) -> str:
    """A shape as it is written: ``1x40x101``."""
    return "x".join(map(str, shape))


def another(size: tuple[int, int], multiple: int) -> tuple[int, int]:
    """Another size to try beside (height, width): both sides differ, by different lengths, and from each other.

    They are odd numbers of steps of `multiple`, so that a network that needs twice the step fails here; about one and a
    half times as high and one and a quarter as wide, less where that is over `MOST_SIDE`.
    """
    rows, columns = (side // multiple for side in size)
    most = MOST_SIDE // multiple
    wide = _odd(columns, -(-columns // 4), most)
    high = _odd(rows, -(-rows // 2), most)
    while high in (rows, wide) or high - rows == wide - columns:
        high += 2
    return high * multiple, wide * multiple


def _odd(count: int, more: int, most: int) -> int:
    found = (count + more) | 1
    return found if found + 4 <= most else max(1, 2 * count // 3 - 3) | 1


def doubled(side: int, multiple: int) -> int:
    """Twice `side`, or about half of it where that is over `MOST_SIDE`."""
    return 2 * side if 2 * side <= MOST_SIDE else side // (2 * multiple) * multiple


def no_other_size(size: tuple[int, int], reason: str) -> str:
    """The message where a network does not run at another size than the nominal one."""
    height, width = size
    return f"the network does not take any size: at {height}x{width} {reason}; build it without --any-size"
