"""Estimates of a link, out of exchanges over links that are known."""

from __future__ import annotations

import random

import pytest

from splitnet.edge.link.meter import FASTEST, NOISE, PATIENCE, Exchange, Meter, bandwidth_of, wire_seconds

ANSWER = 500.0


class Way:
    """A link of given bandwidth (bits a second) and round trip (seconds); exchanges follow the planner's model."""

    def __init__(self, bandwidth: float, rtt: float, seed: int = 0) -> None:
        self.bandwidth, self.rtt, self.now = bandwidth, rtt, 0.0
        self._random = random.Random(seed)

    def exchange(self, meter: Meter, size: float, service: float = 0.005) -> None:
        # Requests follow each other: the window stays open.
        wire = wire_seconds(size, ANSWER, self.bandwidth, self.rtt, 0.0) * (1 + 0.05 * self._random.random())
        self.now += 0.1
        meter.exchanged(Exchange(size, ANSWER, self.now, self.now + wire + service, service))
        self.now += wire + service

    def probe(self, meter: Meter) -> None:
        meter.probed(self.rtt * (1 + 0.05 * self._random.random()), alone=True)


@pytest.mark.parametrize("bandwidth", [1e5, 1e6, 1e7])
@pytest.mark.parametrize("rtt", [0.005, 0.08])
def test_bandwidth_and_round_trip_are_found(bandwidth: float, rtt: float) -> None:
    meter, way = Meter(), Way(bandwidth, rtt)
    for _ in range(10):
        way.probe(meter)
        way.exchange(meter, 12_000)
    assert meter.rtt == pytest.approx(rtt, rel=0.06)
    # Five percent of noise of a round trip that is long beside the transmission are more of the bandwidth.
    assert meter.bandwidth == pytest.approx(bandwidth, rel=0.35)


@pytest.mark.parametrize(("before", "after"), [(1e7, 1e5), (1e5, 1e7)])
def test_a_step_of_a_hundred_times_is_found_within_three_frames(before: float, after: float) -> None:
    meter, way = Meter(), Way(before, 0.02)
    for _ in range(10):
        way.probe(meter)
        way.exchange(meter, 12_000)
    assert not meter.surprised
    way.bandwidth = after
    for _ in range(3):
        way.exchange(meter, 12_000)
    assert meter.surprised
    assert meter.bandwidth == pytest.approx(after, rel=0.5)


def test_a_longer_way_is_not_taken_for_a_slower_one_once_it_was_probed() -> None:
    meter, way = Meter(), Way(1e7, 0.01)
    for _ in range(10):
        way.probe(meter)
        way.exchange(meter, 12_000)
    way.rtt = 0.5
    way.exchange(meter, 12_000)
    assert meter.surprised
    way.probe(meter)
    assert meter.rtt == pytest.approx(0.5, rel=0.06)
    assert not meter.surprised
    for _ in range(8):
        way.exchange(meter, 12_000)
    assert meter.bandwidth is not None
    assert meter.bandwidth > 3e6


def test_small_frames_on_a_fast_link_only_bound_the_bandwidth() -> None:
    meter, way = Meter(), Way(1e9, 0.01)
    way.probe(meter)
    for _ in range(20):
        way.exchange(meter, 1_000)
    assert meter.bounded
    assert meter.bandwidth is not None
    assert meter.bandwidth < 1e8
    assert meter.payload > 4_000
    meter.exchanged(Exchange(meter.payload, 0, 100.0, 100.0 + wire_seconds(meter.payload, 0, 1e7, 0.01), 0.0))
    assert not meter.bounded


def test_answers_that_queue_behind_each_other_tell_the_bandwidth_by_their_pace() -> None:
    bandwidth, rtt, size = 1e6, 0.02, 12_000
    meter = Meter()
    meter.probed(rtt, alone=True)
    pace = wire_seconds(size, ANSWER, bandwidth, rtt) - rtt
    for number in range(8):
        # All were sent at once; each comes when the one before it has left the line.
        meter.exchanged(Exchange(size, ANSWER, 0.001 * number, rtt + (number + 1) * pace, 0.0))
    assert meter.bandwidth == pytest.approx(bandwidth, rel=0.2)


def test_no_answer_bounds_the_bandwidth_from_above() -> None:
    meter = Meter()
    meter.late(10_000, 1.0)
    assert meter.bandwidth is None
    meter.probed(0.01, alone=True)
    meter.exchanged(Exchange(10_000, ANSWER, 0.0, wire_seconds(10_000, ANSWER, 1e8, 0.01), 0.0))
    before = meter.bandwidth
    # Less than two round trips say nothing.
    meter.late(10_000, 0.015)
    assert meter.bandwidth == before
    meter.late(10_000, 1.0)
    assert meter.bandwidth == pytest.approx(8 * 10_000 / 1.0, rel=0.15)
    assert meter.surprised


def test_an_answer_that_is_overdue_bounds_it_too_while_it_is_awaited() -> None:
    meter, way = Meter(), Way(1e7, 0.02)
    for _ in range(10):
        way.probe(meter)
        way.exchange(meter, 12_000)
    known = meter.bandwidth
    assert known is not None
    # One lost packet takes 0.2 seconds.
    meter.waiting(12_000, ANSWER, way.now, way.now + 0.9 * PATIENCE)
    assert meter.bandwidth == known
    meter.waiting(12_000, ANSWER, way.now, way.now + 0.5)
    assert meter.bandwidth == pytest.approx(8 * 12_000 / 0.48, rel=0.2)
    # An answer that came meanwhile had the link before.
    meter.exchanged(Exchange(100, 100, way.now, way.now + 2.0, 0.0))
    known = meter.bandwidth
    meter.waiting(12_000, ANSWER, way.now, way.now + 2.0 + 0.9 * PATIENCE)
    assert meter.bandwidth == known


def test_a_slow_service_is_no_slow_link() -> None:
    meter, way = Meter(), Way(1e7, 0.02)
    for _ in range(30):
        way.probe(meter)
        way.exchange(meter, 12_000, service=1.0)
    known = meter.bandwidth
    meter.waiting(12_000, ANSWER, way.now, way.now + 1.5)
    assert meter.bandwidth == known


def test_a_probe_behind_frames_is_only_a_bound() -> None:
    meter = Meter()
    meter.probed(0.3, alone=False)
    assert meter.rtt == 0.3
    meter.probed(0.1, alone=True)
    meter.probed(0.9, alone=False)
    assert meter.rtt == 0.1


def test_the_queue_of_the_service_follows_what_it_says() -> None:
    meter = Meter()
    for _ in range(20):
        meter.exchanged(Exchange(1_000, ANSWER, 0.0, 0.1, 0.06, 0.05))
    assert meter.queue_at(0.1) == pytest.approx(0.05, rel=0.01)
    # A probe says nothing of it; after a while, neither does what was heard before.
    meter.exchanged(Exchange(1_000, 0, 5.0, 5.1, 0.0, probe=True))
    assert meter.queue_at(0.1) == pytest.approx(0.05, rel=0.01)
    assert meter.queue_at(60.1) < 0.001


def test_the_time_between_requests_counts_no_probes_and_no_long_nights() -> None:
    meter = Meter()
    for number in range(40):
        meter.exchanged(Exchange(1_000, ANSWER, 2.0 * number, 2.0 * number + 0.1, 0.0))
        meter.exchanged(Exchange(4_000, 0, 2.0 * number + 1, 2.0 * number + 1.1, 0.0, probe=True))
    assert 0.9 < meter.interval < 2.1
    meter.exchanged(Exchange(1_000, ANSWER, 1e6, 1e6 + 0.1, 0.0))
    assert meter.interval < 30


@pytest.mark.parametrize("bandwidth", [2e3, 1e5, 1e6, 1e8])
@pytest.mark.parametrize("rtt", [0.0, 0.01, 0.3])
@pytest.mark.parametrize("size", [1_300, 30_000, 300_000])
def test_the_bandwidth_is_the_models_inverse(bandwidth: float, rtt: float, size: float) -> None:
    seconds = wire_seconds(size, ANSWER, bandwidth, rtt)
    if seconds - rtt > 2 * NOISE:
        found = bandwidth_of(size, ANSWER, seconds, rtt)
        assert wire_seconds(size, ANSWER, found, rtt) == pytest.approx(seconds, rel=1e-3)


def test_less_than_the_noise_is_no_infinite_bandwidth() -> None:
    assert bandwidth_of(1_000, ANSWER, 0.0, 0.01) < FASTEST / 100
