"""Requests sent again: one answer, never another client's, bounded in number and time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from splitnet.cloud.batching import Answer
from splitnet.cloud.repeats import Repeats
from splitnet.errors import InvalidRequestError, LateError, UnavailableError
from splitnet.wire.exchange import InferenceRequest, InferenceResponse

REQUEST = InferenceRequest("model", "00" * 32, "cut", b"frame", request_id=bytes(16))


class Work:
    """Counts how often it is begun; its answers are in the test's hands."""

    def __init__(self) -> None:
        self.begun: list[Answer] = []

    def __call__(self) -> Answer:
        self.begun.append(asyncio.get_running_loop().create_future())
        return self.begun[-1]

    def finish(self, number: int = -1) -> InferenceResponse:
        response = InferenceResponse({})
        self.begun[number].set_result(response)
        return response


@pytest.fixture
def work() -> Work:
    return Work()


async def test_a_repeat_joins_the_work_in_flight(work: Work) -> None:
    repeats = Repeats()
    answers = [repeats.answer("a", REQUEST, work) for _ in range(3)]
    response = work.finish()
    assert [await answer for answer in answers] == [response] * 3
    assert (len(work.begun), repeats.hits) == (1, 2)


async def test_a_repeat_gets_the_kept_answer(work: Work) -> None:
    repeats = Repeats()
    first = repeats.answer("a", REQUEST, work)
    response = work.finish()
    assert await first is response
    assert await repeats.answer("a", REQUEST, work) is response
    assert len(work.begun) == 1


async def test_another_client_never_gets_it(work: Work) -> None:
    repeats = Repeats()
    first = repeats.answer("a", REQUEST, work)
    other = repeats.answer("b", REQUEST, work)
    mine = work.finish(0)
    assert await first is mine
    assert not other.done()
    theirs = work.finish(1)
    assert await other is theirs
    assert repeats.hits == 0


async def test_an_id_used_for_another_request_is_an_error(work: Work) -> None:
    repeats = Repeats()
    repeats.answer("a", REQUEST, work)
    for change in ({"frame": b"other"}, {"cut": "other"}, {"tasks": ("x",)}, {"model": "m2"}):
        with pytest.raises(InvalidRequestError, match="used for another request"):
            repeats.answer("a", replace(REQUEST, **change), work)


async def test_failures_are_not_kept(work: Work) -> None:
    repeats = Repeats()
    first = repeats.answer("a", REQUEST, work)
    work.begun[0].set_exception(LateError("late"))
    with pytest.raises(LateError):
        await first
    again = repeats.answer("a", REQUEST, work)
    response = work.finish()
    assert await again is response
    assert len(work.begun) == 2


async def test_what_cannot_be_admitted_is_not_kept() -> None:
    repeats = Repeats()

    def refuse() -> Answer:
        raise LateError("late")

    with pytest.raises(LateError):
        repeats.answer("a", REQUEST, refuse)
    assert len(repeats) == 0


async def test_the_work_ends_when_the_last_one_gives_up(work: Work) -> None:
    repeats = Repeats()
    one, other = repeats.answer("a", REQUEST, work), repeats.answer("a", REQUEST, work)
    one.cancel()
    await asyncio.sleep(0)
    assert not work.begun[0].cancelled()
    other.cancel()
    await asyncio.sleep(0)
    assert work.begun[0].cancelled()
    await asyncio.sleep(0)
    assert len(repeats) == 0


async def test_who_joins_work_that_was_given_up_may_try_again(work: Work) -> None:
    repeats = Repeats()
    one = repeats.answer("a", REQUEST, work)
    work.begun[0].cancel()
    with pytest.raises(UnavailableError, match="try again"):
        await one


async def test_answers_are_bounded_in_number(work: Work) -> None:
    repeats = Repeats(entries=3)
    for number in range(10):
        repeats.answer("a", replace(REQUEST, request_id=bytes([number]) * 16), work)
        work.finish()
        await asyncio.sleep(0)
    assert len(repeats) == 3


async def test_answers_are_bounded_in_time(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("splitnet.cloud.repeats.time.monotonic", lambda: now)
    repeats = Repeats(seconds=60)
    repeats.answer("a", REQUEST, work)
    work.finish()
    await asyncio.sleep(0)
    now += 59
    repeats.answer("a", REQUEST, work)
    assert len(work.begun) == 1
    now += 2
    repeats.answer("a", REQUEST, work)
    assert len(work.begun) == 2


async def test_without_entries_nothing_is_kept(work: Work) -> None:
    repeats = Repeats(entries=0)
    repeats.answer("a", REQUEST, work)
    repeats.answer("a", REQUEST, work)
    assert (len(work.begun), len(repeats)) == (2, 0)
