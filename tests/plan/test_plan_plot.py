"""The plot: each choice's colour where it wins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from PIL import Image

from splitnet.plan import Candidate, Link, Objective, plan
from splitnet.plan.plot import MOST_CHOICES, draw_plan

BLUE, GREY, ORANGE = "#2563a8", "#8a919c", "#e08b2c"
SOME = (
    Candidate("edge", edge=0.3, energy=0.3),
    Candidate("split", "a", "x", edge=0.1, size=2000, answer=100, cloud=0.01, energy=0.1),
    Candidate("cloud", codec="png", edge=0.01, size=90_000, answer=100, cloud=0.02, energy=0.2),
)


def _share(path: Path, colour: str) -> float:
    """Of the map's pixels."""
    with Image.open(path) as picture:
        area = picture.convert("RGB").crop((90, 70, picture.width // 2 - 60, picture.height * 3 // 4))
    distance = np.abs(np.asarray(area, dtype=float) - 255 * np.array(to_rgb(colour))).max(-1)
    return float((distance <= 2).mean())


def test_each_choice_has_its_area(tmp_path: Path) -> None:
    path = tmp_path / "plan.png"
    draw_plan(path, plan(SOME, Link(1e6, 0.02)), "title")
    assert all(_share(path, colour) > 0.1 for colour in (BLUE, GREY, ORANGE))
    draw_plan(path, plan(SOME[1:2], Link(1e6, 0.02)), "title")
    assert _share(path, BLUE) > 0.9


# Also with a round trip beyond the usual axis, and with none at all.
@pytest.mark.parametrize(
    ("objective", "rtt", "winner"), [("bytes", 2.0, GREY), ("energy", 0.0, BLUE), ("throughput", 0.02, ORANGE)]
)
def test_other_objectives(tmp_path: Path, objective: Objective, rtt: float, winner: str) -> None:
    path = tmp_path / "plan.png"
    draw_plan(path, plan(SOME, Link(1e7, rtt), objective=objective), "title")
    assert _share(path, winner) > 0.4


def test_many_choices_stay_readable(tmp_path: Path) -> None:
    many = [
        Candidate("split", f"cut{index}", f"x{index}", edge=0.3 / (1 + index), size=500 * 1.6**index, cloud=0.01)
        for index in range(MOST_CHOICES + 6)
    ]
    path = tmp_path / "plan.png"
    draw_plan(path, plan(many, Link(1e6, 0.02)), "many")
    assert _share(path, "#e5e7eb") > 0.001
