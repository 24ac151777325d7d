"""What `/status.json` says."""

from __future__ import annotations

import json

import pytest

from splitnet.edge.observe.state import LinkState, SpoolState
from splitnet.edge.observe.status import status
from splitnet.edge.observe.timeline import SLOTS
from tests.edge.observe.seeded import SERVERS, START, Clock, configured, record, seeded


def test_everything_is_json() -> None:
    clock = Clock()
    tally = seeded(clock)
    clock.now += 1
    found = json.loads(json.dumps(status(tally, True), allow_nan=False))
    assert found["daemon"]["ready"] is True
    assert found["daemon"]["uptime_seconds"] == 900
    assert found["daemon"]["temperature_celsius"] == 54.3
    assert found["totals"]["captured"] == 4 * 900 + 82
    assert found["totals"]["queue"] == 4
    assert 0.7 < found["totals"]["saved"] < 1
    assert [one["name"] for one in found["sources"]] == ["door", "inbox"]
    assert [one["state"] for one in found["servers"]] == ["connecting", "up"]
    assert [one["failing"] for one in found["sinks"]] == [False, True]
    assert found["spool"] == {"entries": 37, "bytes": 184_320, "oldest_seconds": 521}
    assert found["history"]["first"] == int(clock.now) - SLOTS
    assert {len(column) for column in found["history"]["columns"].values()} == {SLOTS}
    assert found["now"]["captured"] == pytest.approx(4.1)


def test_a_daemon_that_just_started_has_nothing_to_say() -> None:
    found = status(configured(Clock()))
    assert found["daemon"]["ready"] is None
    assert found["totals"]["saved"] is None
    assert (found["changes"], found["errors"]) == ([], [])
    assert {one["mode"] for one in found["models"]} == {None}
    assert {one["state"] for one in found["servers"]} == {None}
    assert found["spool"] == {"entries": 0, "bytes": 0, "oldest_seconds": None}
    assert found["now"]["latency"] is None
    assert found["sources"][0]["latency"] == {"count": 0, "p50": None, "p90": None, "p99": None}


def test_the_newest_comes_first() -> None:
    clock = Clock()
    tally = configured(clock)
    tally.mode("lite0", "edge", reason="configured")
    tally.source_error("door", "older")
    clock.now += 60
    tally.mode("lite0", "split", "block7", reason="uplink 5 Mbit/s")
    tally.sink_error("hook", "newer")
    found = status(tally)
    assert [(one["to"], one["seen_seconds"]) for one in found["changes"]] == [("split block7", 0), ("edge", 60)]
    assert found["changes"][0]["from"] == "edge"
    assert found["changes"][0]["at"] == tally.wall()
    assert [one["text"] for one in found["errors"]] == ["newer", "older"]


def test_more_bytes_than_jpeg_are_said_to_be_more() -> None:
    tally = configured(Clock())
    tally.recorded(record(frame_bytes=30_000), 20_000)
    assert status(tally)["totals"]["saved"] == -0.5
    assert status(tally)["sources"][0]["saved"] == -0.5


def test_sources_that_are_gone_still_count_in_the_totals() -> None:
    tally = configured(Clock())
    tally.captured("door")
    tally.captured("inbox")
    tally.configure(sources=("inbox",), sinks=("answers",))
    found = status(tally)
    assert [one["name"] for one in found["sources"]] == ["inbox"]
    assert found["totals"]["captured"] == 2
    assert [one["name"] for one in found["sinks"]] == ["answers"]


def test_a_clock_that_was_set_back_makes_no_age_below_zero() -> None:
    tally = configured(Clock())
    tally.gauges(spool=SpoolState(1, 100, tally.wall() + 3600))
    assert status(tally)["spool"]["oldest_seconds"] == 0


def test_only_the_history_is_shortened_for_who_has_it() -> None:
    clock = Clock()
    tally = seeded(clock)
    clock.now += 3
    whole, part = status(tally), status(tally, after=int(clock.now) - 3)
    assert part["history"]["columns"]["cloud"] == whole["history"]["columns"]["cloud"][-2:]
    assert {key: value for key, value in part.items() if key != "history"} == {
        key: value for key, value in whole.items() if key != "history"
    }


def test_a_link_says_since_when() -> None:
    clock = Clock()
    tally = configured(clock)
    tally.link(SERVERS[0], LinkState("down", error="refused"))
    clock.now = START + 7
    tally.link(SERVERS[0], LinkState("down", error="refused"))
    first = status(tally)["servers"][0]
    assert (first["address"], first["state"], first["since_seconds"]) == (SERVERS[0], "down", 7)
    assert first["last_error"] == {"text": "refused", "seen_seconds": 7}
