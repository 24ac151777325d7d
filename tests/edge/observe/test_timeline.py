"""Buckets of a second, and what was chosen when."""

from __future__ import annotations

import pytest

from splitnet.edge.observe.state import LinkState
from splitnet.edge.observe.timeline import SLOTS, Modes, Timeline
from tests.edge.observe.seeded import SERVERS, START, Clock, configured, record

FIRST = int(START)


def test_counts_stand_in_their_second() -> None:
    clock = Clock(START + 0.9)
    tally = configured(clock)
    tally.recorded(record(latency=0.1, frame_bytes=100), 500)
    clock.now = START + 2.1
    tally.recorded(record(latency=0.2))
    tally.recorded(record(latency=0.4))
    tally.dropped("door", "newer")
    first, columns = tally.timeline.columns(START + 3)
    assert first == FIRST + 3 - SLOTS
    assert all(len(values) == SLOTS for values in columns.values())
    assert columns["cloud"][-3:] == [1, 0, 2]
    assert columns["dropped"][-3:] == [0, 0, 1]
    assert columns["latency"][-3:] == [0.1, None, pytest.approx(0.3)]
    assert (columns["frame_bytes"][-3], columns["jpeg_bytes"][-3]) == (100, 500)
    assert columns["captured"][0] == 0


def test_the_second_that_runs_is_not_shown_yet() -> None:
    timeline = Timeline()
    timeline.at(START + 0.5).cloud += 1
    assert timeline.columns(START + 0.9)[1]["cloud"][-1] == 0
    assert timeline.columns(START + 1.0)[1]["cloud"][-1] == 1


def test_only_what_came_since_is_answered() -> None:
    timeline = Timeline()
    for second in range(10):
        timeline.at(START + second).cloud += second
    first, columns = timeline.columns(START + 10, FIRST + 6)
    assert (first, columns["cloud"]) == (FIRST + 7, [7, 8, 9])
    assert timeline.columns(START + 10, FIRST + 9) == (FIRST + 10, {name: [] for name in columns})
    assert len(timeline.columns(START + 10, 3)[1]["cloud"]) == SLOTS


def test_after_a_restart_of_the_machine_everything_is_answered() -> None:
    timeline = Timeline()
    timeline.at(START).cloud += 1
    first, columns = timeline.columns(START + 1, FIRST + 1000)
    assert (first, len(columns["cloud"])) == (FIRST + 1 - SLOTS, SLOTS)


def test_old_seconds_are_forgotten() -> None:
    timeline = Timeline()
    for second in range(3 * SLOTS):
        timeline.at(START + second).cloud += 1
    first, columns = timeline.columns(START + 3 * SLOTS)
    assert first == FIRST + 2 * SLOTS
    assert columns["cloud"] == [1] * SLOTS
    assert timeline.columns(START + 9 * SLOTS)[1]["cloud"] == [0] * SLOTS


def test_bandwidth_lasts_until_it_changes_and_ends_with_the_link() -> None:
    clock = Clock()
    tally = configured(clock)
    tally.link(SERVERS[0], LinkState("up", 5e6))
    clock.now = START + 3
    tally.link(SERVERS[0], LinkState("down", 5e6, error="refused"))
    clock.now = START + 5
    tally.captured("door")
    assert tally.timeline.columns(START + 7)[1]["bandwidth"][-8:] == [None, 5e6, 5e6, 5e6, None, None, None, None]
    tally.link(SERVERS[0], LinkState("up", 1e6))
    # Nothing was heard since, and the slot that says so is older than what is asked for.
    assert tally.timeline.columns(START + 50, FIRST + 40)[1]["bandwidth"] == [1e6] * 9
    assert tally.timeline.columns(START + 3 * SLOTS)[1]["bandwidth"] == [1e6] * SLOTS


def test_recent_rates() -> None:
    timeline = Timeline()
    for second in range(20):
        slot = timeline.at(START + second)
        slot.cloud += 3
        slot.timed += 3
        slot.latency += 0.3
    now = timeline.recent(START + 20.0, 10)
    assert now["cloud"] == 3
    assert now["latency"] == pytest.approx(0.1)
    assert timeline.recent(START + 500.0, 10)["cloud"] == 0
    assert timeline.recent(START + 500.0, 10)["latency"] is None


def test_modes_are_runs_that_cover_the_last_minutes() -> None:
    modes = Modes()
    modes.add(START, "edge", "edge")
    modes.add(START + 10.2, "split", "split block7")
    modes.add(START + 10.7, "cloud", "cloud webp")
    assert list(modes.runs()) == [
        {"slot": FIRST, "mode": "edge", "plan": "edge"},
        {"slot": FIRST + 10, "mode": "cloud", "plan": "cloud webp"},
    ]
    modes.add(START + 10 + SLOTS, "edge", "edge")
    modes.add(START + 11 + SLOTS, "cloud", "cloud webp")
    # The run of second 10 covers the oldest second that is shown, second 11.
    assert [run["slot"] - FIRST for run in modes.runs()] == [10, 10 + SLOTS, 11 + SLOTS]
    modes.add(START + 20 + SLOTS, "edge", "edge")
    assert [run["slot"] - FIRST for run in modes.runs()] == [10, 10 + SLOTS, 11 + SLOTS, 20 + SLOTS]


def test_a_mode_that_flaps_takes_no_more_than_the_timeline() -> None:
    modes = Modes()
    for second in range(5 * SLOTS):
        modes.add(START + second, "edge" if second % 2 else "cloud", "")
    assert len(list(modes.runs())) <= SLOTS + 1
