"""Batches: grouped, bounded, cancelled and late work never run, one failure alone."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from splitnet.cloud.access import Caller, Permits
from splitnet.cloud.batching import Batcher, BatchSettings, Job, Outcome
from splitnet.errors import InternalError, InvalidRequestError, LateError, OverloadedError
from splitnet.wire.exchange import InferenceRequest, InferenceResponse


class Workers:
    """What runs batches: remembers them, waits where the test says so."""

    def __init__(self) -> None:
        self.batches: list[list[Job]] = []
        self.go = threading.Event()
        self.go.set()

    def __call__(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        self.batches.append(list(jobs))
        assert self.go.wait(20)
        return [
            InvalidRequestError("bad")
            if job.request.frame == b"bad"
            else InferenceResponse({"frame": job.request.frame})  # type: ignore[dict-item]
            for job in jobs
        ]

    @property
    def ran(self) -> list[bytes]:
        return [job.request.frame for batch in self.batches for job in batch]


@pytest.fixture
def workers() -> Workers:
    return Workers()


@pytest.fixture
async def start(workers: Workers) -> AsyncIterator[Any]:
    batchers = []

    def make(**settings: Any) -> Batcher:
        batchers.append(Batcher(workers, BatchSettings(**settings)))
        return batchers[-1]

    yield make
    workers.go.set()
    for batcher in batchers:
        batcher.close()


def _job(
    frame: bytes = b"frame", client: str = "a", cut: str = "cut", deadline: float | None = None, priority: int = 0
) -> Job:
    request = InferenceRequest("model", "", cut, frame, priority=priority)
    caller = Caller(client, client, Permits(max_priority=2))
    model: Any = _MODEL
    named: Any = SimpleNamespace(name=cut)
    answer: asyncio.Future[InferenceResponse] = asyncio.get_running_loop().create_future()
    return Job(request, caller, model, named, (), time.perf_counter(), deadline, answer)


_MODEL = SimpleNamespace(batches=True)


async def _answer(job: Job) -> InferenceResponse:
    assert job.answer is not None
    async with asyncio.timeout(20):
        return await job.answer


async def _busy(batcher: Batcher, workers: Workers) -> Job:
    """A job that the only worker has begun and does not end before `workers.go`."""
    workers.go.clear()
    job = _job(b"first")
    batcher.submit(job)
    while not workers.batches:
        await asyncio.sleep(0.001)
    return job


async def test_a_free_worker_takes_a_request_at_once(start: Any, workers: Workers) -> None:
    batcher = start()
    job = _job()
    batcher.submit(job)
    assert list((await _answer(job)).results) == ["frame"]
    assert workers.ran == [b"frame"]
    await asyncio.sleep(0)
    assert (batcher.in_flight, batcher.waiting) == (0, 0)


async def test_what_waits_becomes_batches_of_one_group(start: Any, workers: Workers) -> None:
    batcher = start(max_batch=4)
    first = await _busy(batcher, workers)
    jobs = [_job(str(number).encode(), cut="xy"[number % 2]) for number in range(10)]
    for job in jobs:
        batcher.submit(job)
    workers.go.set()
    for job in (first, *jobs):
        await _answer(job)
    assert sorted(len(batch) for batch in workers.batches) == [1, 1, 1, 4, 4]
    assert all(len({job.cut.name for job in batch}) == 1 for batch in workers.batches)


async def test_a_network_with_a_fixed_batch_gets_one_job_at_a_time(
    start: Any, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_MODEL, "batches", False)
    batcher = start(max_batch=4, max_wait=30.0)
    first = await _busy(batcher, workers)
    jobs = [_job(str(number).encode()) for number in range(5)]
    for job in jobs:
        batcher.submit(job)
    workers.go.set()
    for job in (first, *jobs):
        await _answer(job)
    assert [len(batch) for batch in workers.batches] == [1] * 6


async def test_cancelled_and_expired_work_never_runs(start: Any, workers: Workers) -> None:
    batcher = start(queue=2000)
    first = await _busy(batcher, workers)
    kept = [_job(b"kept") for _ in range(10)]
    cancelled = [_job(b"cancelled") for _ in range(500)]
    expired = [_job(b"expired", deadline=time.perf_counter() + 0.05) for _ in range(500)]
    # Until something has run, no one knows how long the line takes: nothing is refused for that.
    for job in (*cancelled, *expired, *kept):
        batcher.submit(job)
    for job in cancelled:
        assert job.answer is not None
        job.answer.cancel()
    await asyncio.sleep(0.06)
    assert batcher.waiting == 510
    workers.go.set()
    for job in (first, *kept):
        await _answer(job)
    for job in expired:
        with pytest.raises(LateError):
            await _answer(job)
    assert sorted(workers.ran) == sorted([b"first"] + [b"kept"] * 10)


async def test_a_cancelled_request_frees_its_place_at_once(start: Any, workers: Workers) -> None:
    batcher = start(queue=1)
    await _busy(batcher, workers)
    waiting = _job()
    batcher.submit(waiting)
    with pytest.raises(OverloadedError, match="1 requests are waiting") as caught:
        batcher.submit(_job())
    assert caught.value.retry_after is not None
    assert waiting.answer is not None
    waiting.answer.cancel()
    await asyncio.sleep(0)
    batcher.submit(_job())


async def test_a_flood_gives_way_to_other_clients(start: Any, workers: Workers) -> None:
    batcher = start(queue=8, max_batch=1)
    await _busy(batcher, workers)
    flood = [_job(b"flood", "flood") for _ in range(8)]
    for job in flood:
        batcher.submit(job)
    quiet = _job(b"quiet", "quiet")
    batcher.submit(quiet)
    with pytest.raises(OverloadedError, match="other clients wait with less"):
        await _answer(flood[-1])
    workers.go.set()
    await _answer(quiet)
    assert workers.ran.index(b"quiet") <= 2


async def test_who_would_be_too_late_is_told_so_at_once(start: Any, workers: Workers) -> None:
    batcher = start(queue=1000, max_batch=1)
    await _busy(batcher, workers)
    batcher.seconds_per_job = 0.1
    for _ in range(20):
        batcher.submit(_job(client="a"))
    with pytest.raises(OverloadedError, match="more than the deadline allows") as caught:
        batcher.submit(_job(client="a", deadline=time.perf_counter() + 1))
    assert caught.value.retry_after == pytest.approx(2.1)
    # Another client is served in its turn and does not wait for all of that.
    batcher.submit(_job(client="b", deadline=time.perf_counter() + 1))


async def test_priorities_are_served_first_as_far_as_the_caller_may(start: Any, workers: Workers) -> None:
    batcher = start(max_batch=1)
    first = await _busy(batcher, workers)
    jobs = [_job(str(level).encode(), priority=level) for level in (0, 1, 2, 3)]
    for job in jobs:
        batcher.submit(job)
    workers.go.set()
    for job in (first, *jobs):
        await _answer(job)
    assert workers.ran == [b"first", b"2", b"3", b"1", b"0"]


async def test_one_failure_is_one_requests(start: Any, workers: Workers) -> None:
    batcher = start()
    first = await _busy(batcher, workers)
    good, bad = _job(b"good"), _job(b"bad")
    batcher.submit(bad)
    batcher.submit(good)
    workers.go.set()
    await _answer(first)
    with pytest.raises(InvalidRequestError):
        await _answer(bad)
    assert await _answer(good)


async def test_a_defect_is_an_internal_error_and_the_worker_goes_on(
    start: Any, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    batcher = start()
    good = workers.__class__.__call__

    def fail(self: Workers, jobs: Sequence[Job]) -> Sequence[Outcome]:
        raise RuntimeError("secret")

    monkeypatch.setattr(Workers, "__call__", fail)
    job = _job()
    batcher.submit(job)
    with pytest.raises(InternalError, match="its log says why"):
        await _answer(job)
    monkeypatch.setattr(Workers, "__call__", good)
    job = _job()
    batcher.submit(job)
    assert await _answer(job)


async def test_a_batch_waits_for_more_only_where_asked_and_not_while_others_wait(start: Any, workers: Workers) -> None:
    batcher = start(max_batch=3, max_wait=20.0)
    jobs = [_job() for _ in range(3)]
    for job in jobs:
        batcher.submit(job)
    for job in jobs:
        await _answer(job)
    assert [len(batch) for batch in workers.batches] == [3]
    lonely, other = _job(cut="x"), _job(cut="y")
    batcher.submit(lonely)
    batcher.submit(other)
    await _answer(lonely)
    assert len(workers.batches[1]) == 1


async def test_frames_are_decoded_ahead_while_the_workers_are_busy(
    start: Any, workers: Workers, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = threading.Event()
    monkeypatch.setattr(Job, "decode", lambda job: decoded.set())
    batcher = start(decoders=1)
    await _busy(batcher, workers)
    assert not decoded.is_set()
    batcher.submit(_job())
    assert await asyncio.to_thread(decoded.wait, 20)
    assert len(workers.batches) == 1


async def test_what_would_be_ready_too_late_makes_room_but_only_while_others_wait(start: Any, workers: Workers) -> None:
    batcher = start(max_batch=1)
    first = await _busy(batcher, workers)
    late, kept = (_job(name, deadline=time.perf_counter() + 20) for name in (b"late", b"kept"))
    batcher.submit(late)
    batcher.submit(kept)
    batcher.seconds_per_job = 1000.0
    workers.go.set()
    for job in (first, kept):
        await _answer(job)
    with pytest.raises(LateError, match="before the answer is ready"):
        await _answer(late)
    assert workers.ran == [b"first", b"kept"]
