"""Requests that are sent again: when, after what pause, and never for nothing."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from splitnet.bundle import Bundle
from splitnet.edge import AsyncEdge, Edge
from splitnet.edge.local import AsyncLocalTransport, LocalTransport
from splitnet.edge.retry import NO_RETRIES, RetryPolicy, new_request_id
from splitnet.errors import (
    InternalError,
    InvalidRequestError,
    LateError,
    OverloadedError,
    ServiceError,
    UnavailableError,
)
from splitnet.wire.exchange import InferenceRequest, InferenceResponse


class Script:
    """A clock that only moves in pauses, and a server that answers what it was told to."""

    def __init__(self, *outcomes: ServiceError | str, takes: float = 0.0) -> None:
        self.now = 100.0
        self.pauses: list[float] = []
        self.timeouts: list[float | None] = []
        self._outcomes, self._takes = list(outcomes), takes

    def clock(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds

    async def asleep(self, seconds: float) -> None:
        self.sleep(seconds)

    def send(self, timeout: float | None) -> str:
        self.timeouts.append(timeout)
        self.now += self._takes
        outcome = self._outcomes.pop(0)
        if isinstance(outcome, ServiceError):
            raise outcome
        return outcome

    async def asend(self, timeout: float | None) -> str:
        return self.send(timeout)

    def run(self, policy: RetryPolicy, timeout: float | None = None) -> str:
        return policy.call(self.send, timeout, clock=self.clock, sleep=self.sleep)

    async def arun(self, policy: RetryPolicy, timeout: float | None = None) -> str:
        return await policy.acall(self.asend, timeout, clock=self.clock, sleep=self.asleep)


GONE = UnavailableError("gone")


def test_pauses_grow_up_to_the_longest_and_lie_between_half_and_all_of_it() -> None:
    policy = RetryPolicy(attempts=7, first=0.1, factor=2, longest=1.0, draw=random.Random(5).random)
    script = Script(*[GONE] * 6, "answer")
    assert script.run(policy) == "answer"
    for pause, most in zip(script.pauses, (0.1, 0.2, 0.4, 0.8, 1.0, 1.0), strict=True):
        assert most / 2 <= pause < most
    again = Script(*[GONE] * 6, "answer")
    again.run(RetryPolicy(attempts=7, first=0.1, factor=2, longest=1.0, draw=random.Random(5).random))
    assert again.pauses == script.pauses


def test_the_last_error_is_raised_when_the_attempts_are_used_up() -> None:
    script = Script(*[GONE] * 3)
    with pytest.raises(UnavailableError):
        script.run(RetryPolicy(attempts=3))
    assert len(script.timeouts) == 3


def test_a_hint_is_waited_for_in_full() -> None:
    script = Script(OverloadedError("full", retry_after=3.0), "answer")
    assert script.run(RetryPolicy(first=0.1, draw=lambda: 0.0)) == "answer"
    assert script.pauses == [pytest.approx(3.05)]


@pytest.mark.parametrize(
    "error",
    [OverloadedError("too large"), InvalidRequestError("no"), LateError("late"), InternalError("broken")],
    ids=lambda error: type(error).__name__,
)
def test_what_would_fail_again_is_not_sent_again(error: ServiceError) -> None:
    script = Script(error)
    with pytest.raises(type(error)):
        script.run(RetryPolicy())
    assert script.pauses == []


def test_the_time_covers_all_attempts() -> None:
    policy = RetryPolicy(attempts=9, first=1.0, factor=1.0, draw=lambda: 1.0)
    script = Script(*[GONE] * 9, takes=0.25)
    with pytest.raises(UnavailableError):
        script.run(policy, timeout=3.0)
    # No pause that would end after the deadline, and no attempt with more time than is left.
    assert script.timeouts == [3.0, 1.75, 0.5]
    assert script.now <= 103.0


async def test_the_same_for_asyncio() -> None:
    script = Script(GONE, OverloadedError("full", retry_after=0.5), "answer")
    assert await script.arun(RetryPolicy(draw=lambda: 0.0), timeout=10) == "answer"
    assert script.pauses == [pytest.approx(0.025), pytest.approx(0.575)]
    with pytest.raises(UnavailableError):
        await Script(GONE).arun(NO_RETRIES)


@pytest.mark.parametrize("wrong", [{"attempts": 0}, {"first": -1.0}, {"factor": 0.5}, {"longest": -1.0}])
def test_a_policy_that_makes_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="at least"):
        RetryPolicy(**wrong)


class Flaky(LocalTransport):
    """Loses the first answers; notes the ids that requests came with."""

    def __init__(self, transport: LocalTransport, losses: int) -> None:
        super().__init__(transport._service)
        self.losses, self.ids = losses, list[bytes]()

    def infer(self, request: InferenceRequest, timeout: float | None = None) -> InferenceResponse:
        self.ids.append(request.request_id)
        if len(self.ids) <= self.losses:
            raise UnavailableError("lost")
        return super().infer(request, timeout)


def test_an_edge_sends_again_under_the_same_id(lite0_bundle: Bundle, photos: Sequence[Any]) -> None:
    transport = Flaky(LocalTransport.for_bundle(lite0_bundle), losses=2)
    policy = RetryPolicy(first=0.001)
    with Edge(lite0_bundle, transport, retry=policy) as edge:
        edge.infer(photos[0], timeout=30.0)
        edge.infer(photos[0], timeout=30.0)
    assert len(transport.ids) == 4
    assert len(transport.ids[0]) == 16
    assert transport.ids[0] == transport.ids[1] == transport.ids[2] != transport.ids[3]


async def test_an_async_edge_too_and_without_a_policy_there_is_no_id(
    lite0_bundle: Bundle, photos: Sequence[Any]
) -> None:
    transport = Flaky(LocalTransport.for_bundle(lite0_bundle), losses=1)
    async with AsyncEdge(lite0_bundle, AsyncLocalTransport(transport), retry=RetryPolicy(first=0.001)) as edge:
        await edge.infer(photos[0], timeout=30.0)
    assert len(transport.ids) == 2
    async with AsyncEdge(lite0_bundle, AsyncLocalTransport(Flaky(transport, losses=1))) as edge:
        with pytest.raises(UnavailableError):
            await edge.infer(photos[0])


def test_ids_differ() -> None:
    assert len({new_request_id() for _ in range(100)}) == 100
