"""Images of other sizes than a bundle's nominal one: which there may be, and what crosses for them."""

from __future__ import annotations

import math
from collections.abc import Sequence

from splitnet.bundle.manifest import Crossing, ImageInput, Input
from splitnet.errors import UsageError
from splitnet.graph.sides import MARGIN, MOST_SIDE

MOST_PIXELS_FACTOR = 4
"""Images have at most this many times the pixels of the nominal size: what a service is asked for stays bounded."""


def multiple_of(spec: Input) -> int:
    """The step in which the image's sides are free; 0 where the size is fixed, or the input no image."""
    return spec.multiple if isinstance(spec, ImageInput) else 0


def at_size(spec: ImageInput, size: tuple[int, int]) -> ImageInput:
    """`spec` for (height, width) in pixels: the short side before the crop grows in proportion."""
    height, width = size
    short = round(spec.resize_short / min(spec.height, spec.width) * min(size))
    short = min(MOST_SIDE, max(short, min(size)))
    return spec.model_copy(update={"height": height, "width": width, "resize_short": short})


def why_not(spec: ImageInput, size: tuple[int, int]) -> str:
    """What stands against images of (height, width); empty where the network takes them."""
    if size == (spec.height, spec.width):
        return ""
    nominal = f"{spec.height}x{spec.width}"
    if not spec.multiple:
        return f"the bundle takes {nominal} alone"
    if min(size) < 1 or any(side % spec.multiple for side in size):
        return f"its sides are no multiples of {spec.multiple}"
    if max(size) > MOST_SIDE:
        return f"a side has more than {MOST_SIDE} pixels"
    if math.prod(size) > MOST_PIXELS_FACTOR * spec.height * spec.width:
        return f"it has more than {MOST_PIXELS_FACTOR} times the pixels of {nominal}"
    return ""


def resized(spec: ImageInput, size: tuple[int, int]) -> ImageInput:
    """`at_size` for a size that somebody asks for. Raises UsageError where the network does not take it."""
    reason = why_not(spec, size)
    if reason:
        hint = (
            f"choose another, or none for {spec.height}x{spec.width}"
            if spec.multiple
            else "choose that, or build it with --any-size"
        )
        raise UsageError(f"size {size[0]}x{size[1]}: {reason}; {hint}")
    return at_size(spec, size)


def takes(one: Crossing, shape: Sequence[int]) -> bool:
    """Whether `shape`, without batch, is that of the tensor at some size of the image."""
    return len(shape) == len(one.shape) and all(
        found == side or (axis in one.free and found > 0)
        for axis, (found, side) in enumerate(zip(shape, one.shape, strict=True))
    )


def most_values(one: Crossing) -> int:
    """Values of the tensor for one image, at most: those of the nominal size where nothing of it is free."""
    if not one.free:
        return math.prod(one.shape)
    sides = (side + MARGIN if axis in one.free else side for axis, side in enumerate(one.shape))
    return MOST_PIXELS_FACTOR * math.prod(sides)


def longest(one: Crossing, axis: int, spec: ImageInput) -> int:
    """The length of a free axis for an image with one side as long as there may be."""
    return -(-one.shape[axis] * MOST_SIDE // min(spec.height, spec.width)) + MARGIN


def most_together(one: Crossing, two: Crossing) -> int:
    """Values, at most, of what an operator makes of two tensors of equal rank position by position, for one image."""
    sides = (
        max(mine, yours) + (MARGIN if axis in one.free or axis in two.free else 0)
        for axis, (mine, yours) in enumerate(zip(one.shape, two.shape, strict=True))
    )
    return MOST_PIXELS_FACTOR * math.prod(sides)


def shape_text(one: Crossing) -> str:
    """Its shape as ``24x80*x80*``: a star stands behind a length that follows the image's size."""
    return "x".join(f"{side}*" if axis in one.free else str(side) for axis, side in enumerate(one.shape))
