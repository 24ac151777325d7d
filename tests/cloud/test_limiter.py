"""Rates and concurrency of single clients, on a clock of the test's own."""

from __future__ import annotations

import math
import random

import pytest

from splitnet.cloud.access import Caller, ClientLimits, Limiter
from splitnet.errors import OverloadedError


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def _caller(name: str = "camera", **limits: float | None) -> Caller:
    return Caller(name, name, limits=ClientLimits(**limits))  # type: ignore[arg-type]  # one helper for every field


def _admitted(limiter: Limiter, caller: Caller, attempts: int) -> int:
    admitted = 0
    for _ in range(attempts):
        try:
            limiter.admit(caller)
        except OverloadedError:
            continue
        admitted += 1
    return admitted


def test_who_has_no_limits_is_not_counted(clock: Clock) -> None:
    limiter = Limiter(clock=clock)
    assert all(limiter.admit(_caller()) is None for _ in range(100))
    assert len(limiter) == 0


def test_a_burst_then_the_rate(clock: Clock) -> None:
    limiter, caller = Limiter(clock=clock), _caller(rate=10.0, burst=5)
    assert _admitted(limiter, caller, 20) == 5
    clock.now += 0.1
    assert _admitted(limiter, caller, 20) == 1
    clock.now += 60
    assert _admitted(limiter, caller, 20) == 5


def test_the_hint_says_exactly_when(clock: Clock) -> None:
    limiter, caller = Limiter(clock=clock), _caller(rate=4.0, burst=1)
    limiter.admit(caller)
    with pytest.raises(OverloadedError, match=r"4 requests a second; wait 0\.250 s") as caught:
        limiter.admit(caller)
    assert caught.value.retry_after == pytest.approx(0.25)
    assert caught.value.retry_after is not None
    clock.now += caught.value.retry_after
    limiter.admit(caller)


@pytest.mark.parametrize(("rate", "at_once"), [(3.9, 3), (0.1, 1), (math.inf, 50)])
def test_without_a_burst_a_seconds_worth_may_come_at_once(clock: Clock, rate: float, at_once: int) -> None:
    assert _admitted(Limiter(clock=clock), _caller(rate=rate), 50) == at_once


def test_no_window_ever_holds_more_than_burst_and_rate(clock: Clock) -> None:
    limiter, caller, generator = Limiter(clock=clock), _caller(rate=50.0, burst=7), random.Random(1)
    times = []
    for _ in range(4000):
        clock.now += generator.expovariate(200)
        try:
            limiter.admit(caller)
        except OverloadedError:
            continue
        times.append(clock.now)
    for first, start in enumerate(times):
        for last in range(first, min(first + 40, len(times))):
            assert last - first + 1 <= 7 + 50.0 * (times[last] - start) + 1e-6


def test_concurrency_counts_what_is_not_answered(clock: Clock) -> None:
    limiter, caller = Limiter(clock=clock), _caller(concurrency=2)
    ended = [limiter.admit(caller), limiter.admit(caller)]
    with pytest.raises(OverloadedError, match="2 requests in flight and may have 2") as caught:
        limiter.admit(caller)
    assert caught.value.retry_after
    assert ended[0] is not None
    ended[0]()
    assert limiter.admit(caller) is not None


def test_clients_do_not_share(clock: Clock) -> None:
    limiter = Limiter(clock=clock)
    for name in ("a", "b"):
        assert _admitted(limiter, _caller(name, rate=1.0, burst=2), 5) == 2


def test_a_million_clients_take_no_memory(clock: Clock) -> None:
    limiter = Limiter(entries=100, clock=clock)
    busy = limiter.admit(_caller("busy", concurrency=1))
    for number in range(20_000):
        limiter.admit(_caller(str(number), rate=1.0))
        clock.now += 0.0001
        assert len(limiter) <= 101
    # Whoever has work in flight is never forgotten.
    with pytest.raises(OverloadedError):
        limiter.admit(_caller("busy", concurrency=1))
    assert busy is not None
    busy()
    assert limiter.admit(_caller("busy", concurrency=1)) is not None


def test_who_is_done_is_forgotten(clock: Clock) -> None:
    limiter = Limiter(clock=clock)
    ended = limiter.admit(_caller(concurrency=1))
    assert ended is not None
    ended()
    assert len(limiter) == 0


def test_limits_of_ones_own_go_before_the_defaults() -> None:
    defaults = ClientLimits(10.0, 20, 4)
    assert ClientLimits().over(defaults) == defaults
    assert ClientLimits(rate=5.0).over(defaults) == ClientLimits(5.0, None, 4)
    assert ClientLimits(burst=3).over(defaults) == ClientLimits(10.0, 3, 4)
