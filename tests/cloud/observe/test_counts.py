"""What is counted: histograms, the last minutes, clients, and all of it together."""

from __future__ import annotations

import threading
import time

import pytest

from splitnet.cloud.observe.clients import Clients
from splitnet.cloud.observe.tally import ERRORS, SERIES, Tally
from splitnet.cloud.observe.timeline import SLOT_SECONDS, SLOTS, Timeline
from splitnet.errors import InvalidRequestError, OverloadedError, UnknownError
from splitnet.observe.histogram import Histogram, merged, percentile
from splitnet.observe.text import shown
from tests.cloud.observe.jobs import CALLER, Clock, job, request, response


def test_a_value_on_a_bound_belongs_to_it() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (1.0, 1.5, 2.0, 3.0):
        histogram.add(value)
    assert histogram.cumulative() == [("1", 1.0), ("2", 3.0), ("+Inf", 4.0)]
    assert histogram.sum == 7.5


def test_percentiles_are_within_a_tenth_of_the_truth() -> None:
    timeline = Timeline()
    slot = timeline.at(0.0)
    for number in range(1, 1001):
        slot.latency.add(number / 1000)
    for share in (0.5, 0.9, 0.99):
        assert percentile(slot.latency, share) == pytest.approx(share, rel=0.1)
    assert percentile(Histogram((1.0,)), 0.5) is None
    above = Histogram((1.0,))
    above.add(5.0)
    assert percentile(above, 0.5) == 1.0
    assert merged([above, above], (1.0,)).count == 2


def test_the_timeline_keeps_minutes_and_fills_the_gaps() -> None:
    timeline = Timeline()
    timeline.at(2.0).answered += 10
    timeline.at(SLOT_SECONDS * 3).answered += 5
    columns = timeline.columns(SLOT_SECONDS * 4)
    assert columns["answered"][-4:] == [2.0, 0.0, 0.0, 1.0]
    assert {len(values) for values in columns.values()} == {SLOTS}
    assert columns["p50_ms"] == [None] * SLOTS
    assert timeline.columns(SLOT_SECONDS * 1000)["answered"] == [0.0] * SLOTS


def test_what_happens_now_is_an_average_of_the_last_seconds() -> None:
    timeline = Timeline()
    timeline.at(100.0).answered += 50
    timeline.at(100.0).latency.add(0.02)
    recent = timeline.recent(105.0, 5.0)
    assert recent["answered"] == 10.0
    assert recent["p50_ms"] == pytest.approx(20, rel=0.2)
    assert set(timeline.recent(200.0, 5.0).values()) == {0.0, None}


def test_clients_are_bounded_and_the_silent_are_forgotten() -> None:
    clients = Clients(most=2)
    clients.add("old", 10, False, 1.0)
    clients.add("busy", 10, False, 2.0)
    clients.add("busy", 10, True, 3.0)
    clients.add("new", 10, False, 4.0)
    assert [name for name, _ in clients.busiest(5)] == ["busy", "new"]
    busiest = clients.busiest(1)[0][1]
    assert (busiest.requests, busiest.failed, busiest.bytes_in, busiest.seen) == (2, 1, 20, 3.0)


def test_names_from_the_network_become_printable_and_short() -> None:
    assert shown("camera-7") == "camera-7"
    assert shown("a\nb\x1b[31m\u202ec") == "a\N{REPLACEMENT CHARACTER}b" + "\N{REPLACEMENT CHARACTER}[31m" + (
        "\N{REPLACEMENT CHARACTER}c"
    )
    assert len(shown("x" * 1000, 40)) == 40


def test_every_request_is_counted_once() -> None:
    clock = Clock()
    tally = Tally(clock)
    tally.answered(job(), response())
    tally.failed(job(), InvalidRequestError("malformed frame"))
    tally.refused(OverloadedError("full", reason="queue"), CALLER, request())
    tally.refused(UnknownError("no model"), CALLER, request(model="made-up"))
    tally.batch([job(), job()], 0.003)
    tally.sent(200)
    tally.stream(1)
    assert list(tally.series) == [("lite0", "1", "block7")]
    series = tally.series["lite0", "1", "block7"]
    assert series.codes == {"OK": 1, "INVALID_ARGUMENT": 1}
    assert series.bytes_in == 200
    assert tally.refusals == {"RESOURCE_EXHAUSTED": 1, "NOT_FOUND": 1}
    assert tally.rejections == {
        ("INVALID_ARGUMENT", "invalid_argument"): 1,
        ("RESOURCE_EXHAUSTED", "queue"): 1,
        ("NOT_FOUND", "not_found"): 1,
    }
    assert series.batch_sizes.cumulative()[1] == ("2", 1.0)
    assert (tally.bytes_out, tally.streams) == (200, 1)


def test_the_same_error_again_and_again_is_one_entry() -> None:
    tally = Tally(Clock())
    for number in range(1000):
        tally.refused(OverloadedError(f"{number} wait", reason="queue"), CALLER, request())
    assert [(one.times, one.message) for one in tally.failures] == [(1000, "999 wait")]
    for number in range(2 * ERRORS):
        tally.refused(UnknownError("no"), CALLER, request()) if number % 2 else tally.refused(
            OverloadedError("full"), CALLER
        )
    assert len(tally.failures) == ERRORS


def test_series_are_bounded() -> None:
    tally = Tally(Clock())
    for number in range(SERIES + 10):
        tally.answered(job(version=str(number)), response())
    assert len(tally.series) == SERIES + 1
    assert tally.series["other", "", ""].codes["OK"] == 10


def test_threads_lose_no_count() -> None:
    tally = Tally()

    def work() -> None:
        for _ in range(2000):
            tally.answered(job(), response())

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.series["lite0", "1", "block7"].codes == {"OK": 8000}


def test_counting_costs_microseconds() -> None:
    tally, one, answer = Tally(), job(), response()
    best = min(_seconds(tally, one, answer) for _ in range(20))
    assert best < 50e-6


def _seconds(tally: Tally, one: object, answer: object) -> float:
    started = time.perf_counter()
    for _ in range(200):
        tally.answered(one, answer)  # type: ignore[arg-type]
    return (time.perf_counter() - started) / 200
