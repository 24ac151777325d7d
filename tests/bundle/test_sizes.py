"""Sizes of images beside the nominal one, and of what crosses for them."""

from __future__ import annotations

import pytest

from splitnet.bundle.manifest import Crossing, ImageInput
from splitnet.bundle.sizes import at_size, longest, most_together, most_values, resized, shape_text, takes, why_not
from splitnet.errors import UsageError

IMAGE = ImageInput(tensor="x", height=32, width=48, resize_short=40, mean=(0, 0, 0), std=(1, 1, 1), multiple=8)


def test_the_short_side_grows_in_proportion() -> None:
    assert (at_size(IMAGE, (64, 96)).resize_short, at_size(IMAGE, (96, 16)).resize_short) == (80, 20)
    assert at_size(IMAGE, (32, 48)) == IMAGE
    assert at_size(IMAGE, (8192, 8192)).resize_short == 8192


@pytest.mark.parametrize(
    ("size", "reason"),
    [
        ((32, 48), ""),
        ((8, 8), ""),
        ((64, 96), ""),
        ((768, 8), ""),
        ((30, 48), "its sides are no multiples of 8"),
        ((0, 48), "its sides are no multiples of 8"),
        ((-8, 48), "its sides are no multiples of 8"),
        ((72, 96), "it has more than 4 times the pixels of 32x48"),
        ((8200, 8), "a side has more than 8192 pixels"),
    ],
)
def test_sizes_that_there_may_be(size: tuple[int, int], reason: str) -> None:
    assert why_not(IMAGE, size) == reason
    if reason:
        with pytest.raises(UsageError, match=f"size {size[0]}x{size[1]}: {reason}; choose another, or none for 32x48"):
            resized(IMAGE, size)
    fixed = IMAGE.model_copy(update={"multiple": 0})
    if size != (32, 48):
        with pytest.raises(UsageError, match="the bundle takes 32x48 alone; choose that, or build it with --any-size"):
            resized(fixed, size)


def test_what_a_tensor_may_be() -> None:
    one = Crossing(tensor="t", shape=(4, 10, 12), free=(1, 2))
    assert takes(one, (4, 1, 99))
    assert not any(takes(one, shape) for shape in ((4, 0, 12), (5, 10, 12), (4, 10), (4, 10, 12, 1)))
    assert (most_values(one), shape_text(one)) == (4 * 4 * 14 * 16, "4x10*x12*")
    fixed = Crossing(tensor="t", shape=(4, 10, 12))
    assert (most_values(fixed), shape_text(fixed)) == (480, "4x10x12")
    assert not takes(fixed, (4, 10, 13))


def test_an_axis_is_no_longer_than_for_the_longest_side_of_an_image() -> None:
    spec = ImageInput(tensor="x", height=640, width=640, resize_short=640, mean=(0, 0, 0), std=(1, 1, 1), multiple=32)
    maps = Crossing(tensor="m", shape=(24, 80, 80), free=(1, 2))
    # An eighth of 8,192 pixels, and the margin: a row of all the positions that 4 images have would be none.
    assert longest(maps, 1, spec) == 1028
    assert longest(maps, 1, spec) < most_values(maps) // 24


def test_two_tensors_of_one_image_have_no_more_together_than_the_larger() -> None:
    one, two = (
        Crossing(tensor=name, shape=shape, free=(1, 2)) for name, shape in (("a", (4, 8, 8)), ("b", (2, 16, 16)))
    )
    assert most_together(one, two) == 4 * 4 * 20 * 20
