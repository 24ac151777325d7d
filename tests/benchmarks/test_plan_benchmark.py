"""Plans against reality: what is compared with what."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from benchmarks.plan import cells
from benchmarks.plan.cells import ALONE, CELLS, CONSTRAINTS, TURNS, Cell, Tried, try_cell
from splitnet.plan import Candidate, Link, plan
from splitnet.plan.profile import Profile

NEAR = Candidate("split", "near", "x", edge=0.1, size=2000, kl=0.01)
FAR = Candidate("split", "far", "x", edge=0.2, size=500, kl=0.01)
COARSE = Candidate("split", "far", "y", edge=0.2, size=100, kl=1.0)


def tried(near: float, far: float) -> Tried:
    made = plan([NEAR, FAR, COARSE], Link(1e6, 0.005), CONSTRAINTS)
    assert made.choice.candidate is NEAR
    return Tried(Cell(1.0, 5.0, False), made, {NEAR.name: near, FAR.name: far}, made)


def test_the_choice_is_compared_with_the_best_that_was_measured() -> None:
    assert tried(0.2, 0.3).vs_best == 0
    assert tried(0.3, 0.2).vs_best == pytest.approx(0.5)


def test_errors_are_of_what_may_be_chosen() -> None:
    one = tried(0.5, 0.25)
    assert set(one.errors) == {NEAR.name, FAR.name}
    assert one.choice_error == pytest.approx(abs(one.made.choice.latency / 0.5 - 1))
    rows = one.rows()
    assert [row["candidate"] for row in rows if row["chosen"]] == [NEAR.name]
    assert all(row["measured_ms"] in (500, 250) for row in rows)


def test_every_link_of_the_issue_is_there_with_and_without_a_head_of_the_cloud_alone() -> None:
    assert len(CELLS) == len(set(CELLS)) == 16
    assert {(cell.mbit, cell.rtt_ms) for cell in CELLS} == {(b, r) for b in (0.1, 1, 10, 100) for r in (5, 80)}
    assert CELLS[0].link == {"rate_up": 1e5, "rate_down": 1e5, "delay": 0.0025}


def test_candidates_take_turns_and_the_device_is_timed_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine is half as fast as when it was profiled, and stops for a while in one of the turns."""
    whole = Candidate("edge", edge=0.3, kl=0.0)
    hopeless = Candidate("split", "hopeless", "x", edge=0.9, kl=0.0)
    monkeypatch.setattr(cells, "candidates", lambda *_: (NEAR, FAR, COARSE, whole, hopeless))
    asked: list[tuple[str, int]] = []

    def measure(candidate: Candidate, tasks: Sequence[str], turn: int) -> list[float]:
        asked.append((candidate.name, turn))
        return [2 * (0.3 if candidate == ALONE else candidate.edge) + 9 * (turn == 1)] * 3

    found = try_cell(Cell(1e3, 0.0, False), Profile.model_construct(), 0.0, measure)
    assert found.speed == pytest.approx(2)
    assert found.measured == pytest.approx({NEAR.name: 0.2, FAR.name: 0.4, whole.name: 0.6, hopeless.name: 1.8})
    assert found.choice_error == pytest.approx(0, abs=0.001)
    assert found.unscaled_error == pytest.approx(0.5, abs=0.001)
    turns = {name: [turn for asked_name, turn in asked if asked_name == name] for name, _ in asked}
    assert turns[NEAR.name] == list(range(TURNS))
    assert turns[hopeless.name] == [0]
    assert COARSE.name not in turns
