"""Plans against reality: what is compared with what."""

from __future__ import annotations

import pytest

from benchmarks.plan.cells import CELLS, CONSTRAINTS, Cell, Tried
from splitnet.plan import Candidate, Link, plan

NEAR = Candidate("split", "near", "x", edge=0.1, size=2000, kl=0.01)
FAR = Candidate("split", "far", "x", edge=0.2, size=500, kl=0.01)
COARSE = Candidate("split", "far", "y", edge=0.2, size=100, kl=1.0)


def tried(near: float, far: float) -> Tried:
    made = plan([NEAR, FAR, COARSE], Link(1e6, 0.005), CONSTRAINTS)
    assert made.choice.candidate is NEAR
    return Tried(Cell(1.0, 5.0, False), made, {NEAR.name: near, FAR.name: far})


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
