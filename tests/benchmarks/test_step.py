"""What a daemon's log says about steps of the bandwidth."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.step.__main__ import BETWEEN, _rows, _trace
from benchmarks.step.changes import Change, in_a_minute, reaction, read_changes

START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def change(second: float, new: str) -> Change:
    return Change(second, "old", new, "because")


def test_changes_are_read_beside_everything_else_that_a_log_holds(tmp_path: Path) -> None:
    log = tmp_path / "log"
    entries = [
        {"event": "link", "timestamp": "2026-01-01T00:00:01Z"},
        {"event": "plan", "error": "another bundle", "timestamp": "2026-01-01T00:00:01Z"},
        {"event": "plan", "old": "a", "new": "b", "reason": "slow", "timestamp": "2026-01-01T00:00:02.500000Z"},
    ]
    log.write_text("no JSON\n" + "".join(json.dumps(one) + "\n" for one in entries))
    assert read_changes(log, START) == [Change(2.5, "a", "b", "slow")]


def test_a_reaction_is_the_first_change_after_a_step_and_before_the_next() -> None:
    changes = [change(3, "before"), change(11, "rash"), change(14, "sure"), change(31, "after")]
    found = reaction(changes, 10, 30)
    assert (found.first, found.last, found.stayed) == (1, 4, "sure")
    # None at all: at least as long as anybody looked.
    none = reaction(changes, 15, 30)
    assert (none.first, none.last, none.stayed) == (15, 15, "sure")


def test_changes_are_counted_for_each_minute() -> None:
    assert in_a_minute([change(1, "a"), change(9, "b"), change(10, "c")], 0, 10) == pytest.approx(12)


def test_steps_go_down_first_and_end_with_a_steady_minute() -> None:
    steady, steps = 60, 2
    trace = _trace(steps, steady)
    rates = [one.rate_up or 0 for _, one in trace]
    assert [after / before for before, after in pairwise(rates)] == pytest.approx([0.01, 100, 0.01, 100, 0.01])
    rows = _rows("watch", trace, [change(second + 1.5, "x") for second, _ in trace[1:]], steady)
    assert [(row["step"], row["new_plan_s"]) for row in rows[:-2]] == [
        (way, 1.5) for way in ("down", "up", "down", "up", "down")
    ]
    assert [row["changes_in_a_minute"] for row in rows[-2:]] == [0, 0]
    assert rows[-1]["second"] == trace[-1][0] + BETWEEN
