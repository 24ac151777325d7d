"""Whether a scene changed."""

from __future__ import annotations

import numpy as np
import pytest

from splitnet.edge.adapt.scene import Scene
from splitnet.edge.halves import Values

WAY = "block7 transform:step=1.5|rans"


def values(offset: int = 0, scale: int = 100) -> Values:
    return (np.full((4, 5), scale + offset, np.int16),)


def test_nothing_is_unchanged_before_something_was_answered() -> None:
    scene = Scene(1.0)
    assert not scene.unchanged(WAY, values())
    scene.answered(WAY, values())
    assert scene.unchanged(WAY, values())


@pytest.mark.parametrize(("offset", "unchanged"), [(0, True), (9, True), (10, True), (11, False), (-11, False)])
def test_the_threshold_is_a_share_of_the_energy(offset: int, unchanged: bool) -> None:
    scene = Scene(0.01)
    scene.answered(WAY, values())
    assert scene.unchanged(WAY, values(offset)) is unchanged


def test_slow_changes_add_up() -> None:
    scene = Scene(0.01)
    scene.answered(WAY, values())
    assert scene.unchanged(WAY, values(6))
    assert not scene.unchanged(WAY, values(12))


def test_features_of_another_cut_or_codec_are_a_change() -> None:
    scene = Scene(1.0)
    scene.answered(WAY, values())
    assert not scene.unchanged("block4 none|raw", values())
    assert not scene.unchanged(WAY, (np.zeros((5, 4), np.int16),))
    assert not scene.unchanged(WAY, ())


def test_a_scene_that_was_answered_otherwise_counts_as_changed() -> None:
    scene = Scene(1.0)
    scene.answered(WAY, values())
    scene.forget()
    assert not scene.unchanged(WAY, values())


def test_symbols_do_not_overflow() -> None:
    scene = Scene(0.5)
    scene.answered(WAY, (np.full(1000, 32767, np.int16),))
    assert not scene.unchanged(WAY, (np.full(1000, -32768, np.int16),))
