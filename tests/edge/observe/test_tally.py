"""Counts, states and errors of the daemon."""

from __future__ import annotations

import threading

from splitnet.edge.daemon.record import Record
from splitnet.edge.observe.state import DeviceState, LinkState, SpoolState
from splitnet.edge.observe.tally import CHANGES, ERRORS, OTHER, REASONS, EdgeTally
from tests.edge.observe.seeded import SERVERS, START, Clock, configured, record


def test_inputs_are_counted_by_source_and_by_how_they_ended() -> None:
    tally = configured(Clock())
    for _ in range(3):
        tally.captured("door")
    tally.recorded(record(frame_bytes=2000), 17_000)
    tally.recorded(record(status="local"))
    tally.dropped("door", "newer")
    tally.spooled("inbox")
    door, inbox = tally.sources["door"], tally.sources["inbox"]
    assert door.captured == 3
    assert door.recorded == {"cloud": 1, "local": 1, "skipped": 0, "failed": 0, "expired": 0}
    assert (door.dropped, inbox.dropped) == ({"newer": 1}, {})
    assert (door.spooled, inbox.spooled) == (0, 1)
    assert (door.state, inbox.state) == ("running", "starting")
    assert (door.frame_bytes, door.compared_bytes, door.jpeg_bytes) == (2000, 2000, 17_000)


def test_what_nobody_knows_as_jpeg_is_not_compared() -> None:
    tally = configured(Clock())
    tally.recorded(record(frame_bytes=2000), 17_000)
    tally.recorded(record(frame_bytes=50_000), None)
    tally.recorded(record(status="local"), 10_000)
    door = tally.sources["door"]
    assert (door.frame_bytes, door.compared_bytes, door.jpeg_bytes) == (52_000, 2000, 27_000)


def test_latency_is_of_answers_that_were_made_at_once() -> None:
    tally = configured(Clock())
    tally.recorded(record(latency=0.02))
    tally.recorded(record(status="local", latency=0.04))
    for other in (
        record(status="skipped", latency=0.001),
        record(status="failed", latency=9.0, error="bad"),
        record(status="expired", latency=9e5, error="old"),
        record(latency=7200.0, spooled=True),
    ):
        tally.recorded(other)
    latency = tally.sources["door"].latency
    assert (latency.count, latency.sum) == (2, 0.06)


def test_names_that_are_not_configured_count_as_other() -> None:
    tally = configured(Clock())
    tally.captured("made-up")
    tally.recorded(record("yesterday", spooled=True))
    tally.sink_error("gone", "full")
    tally.link("stranger.example:1", LinkState("up"))
    assert set(tally.sources) == {"door", "inbox", OTHER}
    assert (tally.sources[OTHER].captured, tally.sources[OTHER].recorded["cloud"]) == (1, 1)
    assert set(tally.sinks) == {"answers", "hook", OTHER}
    assert set(tally.servers) == {*SERVERS, OTHER}


def test_reasons_of_dropping_are_bounded() -> None:
    tally = configured(Clock())
    for number in range(2 * REASONS):
        tally.dropped("door", f"reason {number}")
    tally.dropped("door", "reason 0")
    reasons = tally.sources["door"].dropped
    assert len(reasons) == REASONS + 1
    assert (reasons["reason 0"], reasons[OTHER]) == (2, REASONS)


def test_a_reload_keeps_what_was_counted() -> None:
    tally = configured(Clock())
    tally.captured("door")
    tally.captured("inbox")
    tally.mode("lite0", "edge")
    tally.link(SERVERS[1], LinkState("up", 5e6))
    tally.configure(sources=("door", "yard"), sinks=("answers",), models=("lite0",), servers=(SERVERS[1],))
    assert {name: row.gone for name, row in tally.sources.items()} == {"door": False, "inbox": True, "yard": False}
    assert (tally.sources["door"].captured, tally.sources["inbox"].captured) == (1, 1)
    assert (list(tally.models), tally.models["lite0"].mode) == (["lite0"], "edge")
    assert list(tally.servers) == [SERVERS[1]]
    assert tally.uplink == LinkState("up", 5e6)


def test_a_source_fails_and_runs_again() -> None:
    clock = Clock()
    tally = configured(clock)
    tally.source_error("door", "/dev/video0 is gone")
    door = tally.sources["door"]
    assert (door.state, door.errors) == ("failed", 1)
    assert door.error is not None
    assert (door.error.text, door.error.seen) == ("/dev/video0 is gone", START)
    tally.captured("door")
    states = [str(door.state)]
    tally.source_state("door", "ended")
    assert [*states, door.state] == ["running", "ended"]


def test_a_sink_fails_and_writes_again() -> None:
    tally = configured(Clock())
    tally.sink_error("hook", "answers 503")
    hook = tally.sinks["hook"]
    assert (hook.failing, hook.errors, hook.written) == (True, 1, 0)
    tally.sink_written("hook", 7)
    assert (hook.failing, hook.errors, hook.written) == (False, 1, 7)


def test_errors_are_bounded_and_repeats_are_one() -> None:
    clock = Clock()
    tally = configured(clock)
    tally.sink_error("hook", "first")
    for number in range(ERRORS - 1):
        tally.source_error("door", f"error {number}")
    clock.now += 5
    tally.sink_error("hook", "first")
    tally.source_error("door", "one more")
    assert len(tally.failures) == ERRORS
    last, before = list(reversed(tally.failures.values()))[:2]
    assert (last.text, last.times) == ("one more", 1)
    assert (before.text, before.times, before.seen) == ("first", 2, START + 5)
    assert "error 0" not in {one.text for one in tally.failures.values()}


def test_errors_are_fit_to_be_shown() -> None:
    tally = configured(Clock())
    tally.recorded(record(status="failed", error="line\nbreak\x1b[31m\u202e" + "x" * 1000))
    (failure,) = tally.failures.values()
    assert (failure.kind, failure.name) == ("input", "door")
    assert failure.text.isprintable()
    assert len(failure.text) == 300


def test_the_same_mode_again_is_no_change() -> None:
    clock = Clock()
    tally = configured(clock)
    tally.mode("lite0", "split", "block7", "zlib", "configured")
    clock.now += 10
    tally.mode("lite0", "split", "block7", "zlib", "anything")
    assert (tally.models["lite0"].since, tally.models["lite0"].reason) == (START, "configured")
    tally.mode("lite0", "split", "block7", "lzma", "uplink 1 Mbit/s")
    model = tally.models["lite0"]
    assert (model.changes, model.since) == (1, START + 10)
    assert [(one.old, one.new, one.reason) for one in tally.changes] == [
        ("", "split block7 zlib", "configured"),
        ("split block7 zlib", "split block7 lzma", "uplink 1 Mbit/s"),
    ]


def test_changes_of_plan_are_bounded() -> None:
    tally = configured(Clock())
    for number in range(CHANGES + 10):
        tally.mode("lite0", "split", f"block{number}")
    assert len(tally.changes) == CHANGES
    assert tally.changes[-1].new == f"split block{CHANGES + 9}"


def test_a_link_is_down_since_it_went_down_and_its_error_is_told_once() -> None:
    clock = Clock()
    tally = configured(clock)
    address = SERVERS[0]
    tally.link(address, LinkState("up", 5e6, 0.02))
    for second in range(1, 10):
        clock.now = START + second
        tally.link(address, LinkState("down", error="refused"))
    server = tally.servers[address]
    assert server.since == START + 1
    assert server.error is not None
    assert (server.error.text, server.error.times, server.error.seen) == ("refused", 1, START + 1)
    tally.link(address, LinkState("up"))
    tally.link(address, LinkState("down", error="refused"))
    assert server.error.times == 2


def test_the_uplink_is_the_first_server_that_is_up() -> None:
    tally = configured(Clock())
    assert tally.uplink is None
    tally.link(SERVERS[1], LinkState("up", 1e6))
    tally.link(SERVERS[0], LinkState("standby", 9e6))
    assert tally.uplink == LinkState("up", 1e6)
    tally.link(SERVERS[0], LinkState("up", 9e6))
    assert tally.uplink == LinkState("up", 9e6)


def test_a_gauge_that_is_not_given_stays() -> None:
    tally = configured(Clock())
    tally.gauges(queues={"door": 2}, in_flight=3, spool=SpoolState(4, 5, 6.0), waiting={"hook": 7})
    tally.gauges(device=DeviceState(50.0, 0.5), in_flight=0)
    assert tally.sources["door"].queue == 2
    assert (tally.in_flight, tally.spool, tally.sinks["hook"].waiting) == (0, SpoolState(4, 5, 6.0), 7)
    assert tally.device == DeviceState(50.0, 0.5)
    tally.gauges(spool=SpoolState())
    assert tally.spool == SpoolState(0, 0, None)


def test_threads_lose_no_count() -> None:
    tally = EdgeTally()
    tally.configure(sources=("door",))
    one: Record = record(frame_bytes=10)
    start = threading.Barrier(8)

    def count() -> None:
        start.wait()
        for _ in range(500):
            tally.captured("door")
            tally.recorded(one, 100)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    door = tally.sources["door"]
    assert (door.captured, door.recorded["cloud"], door.latency.count) == (4000, 4000, 4000)
    assert (door.frame_bytes, door.jpeg_bytes) == (40_000, 400_000)
