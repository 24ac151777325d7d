"""Threads that run batches off the event loop, and the line in front of them."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import SimpleQueue

import structlog

from splitnet.cloud.batching.fair_queue import FairQueue
from splitnet.cloud.batching.job import Answer, Job, Outcome
from splitnet.errors import InternalError, LateError, OverloadedError, ServiceError

log = structlog.get_logger("splitnet.server")

_SMOOTHING = 0.05
_LONGEST_RETRY = 5.0
_MARGIN = 1.25
"""Refusing a little too early costs one answer, too late the work of one that nobody waits for."""


@dataclass(frozen=True)
class BatchSettings:
    """How requests are grouped and how many may wait.

    `workers` batches run at a time, each of at most `max_batch` requests. A worker that is free never waits for a
    batch to fill unless `max_wait` (seconds) says so, which pays only where the network runs a batch faster than its
    parts. `decoders` threads decode frames ahead while all workers are busy; 0 leaves that to the workers, None is one
    where there is a core for it.
    """

    workers: int = 1
    decoders: int | None = None
    max_batch: int = 8
    max_wait: float = 0.0
    queue: int = 256
    queue_bytes: int = 256 * 1024 * 1024

    @property
    def decoder_threads(self) -> int:
        """`decoders`, or what None means here."""
        if self.decoders is not None:
            return self.decoders
        return 1 if len(os.sched_getaffinity(0)) > self.workers else 0


class Batcher:
    """Runs jobs in batches. `check` and `submit` belong to the event loop, `run` to the workers' threads.

    What costs a request: one hand-over to a thread, and one back for the whole batch. Work that is cancelled or whose
    deadline passes while it waits never reaches `run`.
    """

    def __init__(
        self, run: Callable[[Sequence[Job]], Sequence[Outcome]], settings: BatchSettings | None = None
    ) -> None:
        self.settings = settings or BatchSettings()
        self._run_batch = run
        self._queue: FairQueue[Job] = FairQueue(self.settings.queue, self.settings.queue_bytes)
        self._lock = threading.Lock()
        self._arrived = threading.Condition(self._lock)
        self._tokens: SimpleQueue[bool] = SimpleQueue()
        self._ahead: SimpleQueue[Job | None] = SimpleQueue()
        self._busy = 0
        self._running = 0
        self._decoders = self.settings.decoder_threads
        self._closed = False
        self.in_flight = 0
        self.seconds_per_job = 0.0
        self._threads = [
            threading.Thread(target=self._work, name=f"inference-{number}", daemon=True)
            for number in range(self.settings.workers)
        ] + [
            threading.Thread(target=self._decode, name=f"decode-{number}", daemon=True)
            for number in range(self._decoders)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Jobs that no worker has begun."""
        return len(self._queue)

    def check(self, client: str, arrived: float, deadline: float | None) -> None:
        """As `submit` for a request that would be too late, before anything else is done for it: under overload this
        is what most requests cost. Raises OverloadedError.
        """
        with self._lock:
            self._in_time(client, arrived, deadline)

    def submit(self, job: Job) -> None:
        """Put a job in line; its future gets the outcome.

        Raises
        ------
        OverloadedError
            with a hint when to come back, if the line is full, or so long that the deadline would pass in it.
        """
        with self._lock:
            wait = self._in_time(job.client, job.arrived, job.deadline)
            evicted = self._queue.push(job, self.settings.workers - self._busy)
            if evicted is None:
                raise self._overloaded(
                    f"{len(self._queue)} requests are waiting; send less or try again later", wait, "queue"
                )
            self.in_flight += 1
            busy = self._busy >= self.settings.workers
            if self.settings.max_wait:
                self._arrived.notify_all()
        answer = job.answer
        assert answer is not None
        answer.add_done_callback(lambda _: self._done(job))
        if evicted:
            error = self._overloaded("the line is full and other clients wait with less; send less", wait, "fairness")
            self._settle([(other, error) for other in evicted])
        self._tokens.put(True)
        if busy and self._decoders:
            self._ahead.put(job)

    def close(self) -> None:
        """End the threads once the jobs before this call are done; does not wait for them."""
        with self._lock:
            self._closed = True
            self._arrived.notify_all()
        for _ in range(self.settings.workers):
            self._tokens.put(False)
        for _ in range(self._decoders):
            self._ahead.put(None)

    def _in_time(self, client: str, arrived: float, deadline: float | None) -> float:
        """The expected wait. Raises OverloadedError where the deadline would pass in it."""
        wait = self._expected_wait(client)
        if deadline is not None and wait > 0 and arrived + _MARGIN * wait > deadline:
            raise self._overloaded(
                f"about {wait:.1f} s of work wait already, more than the deadline allows", wait, "deadline"
            )
        return wait

    def _expected_wait(self, client: str) -> float:
        """Seconds until a worker is free for one more job of this client, if the line moves as it did; 0: at once."""
        if self._busy < self.settings.workers and not len(self._queue):
            return 0.0
        # In one turn of the line each client is served once, so it takes as many turns as this client has jobs in it.
        turns = self._queue.held(client) + 1
        ahead = min(len(self._queue), turns * self._queue.clients) + self._running
        return ahead * self.seconds_per_job / self.settings.workers

    def _overloaded(self, why: str, wait: float, reason: str) -> OverloadedError:
        retry_after = min(max(wait, self.seconds_per_job, 0.01), _LONGEST_RETRY)
        return OverloadedError(why, retry_after=retry_after, reason=reason)

    def _done(self, job: Job) -> None:
        self.in_flight -= 1
        if job.cancelled:
            with self._lock:
                self._queue.remove(job)

    def _work(self) -> None:
        while self._tokens.get():
            batch = self._take()
            if not batch:
                continue
            outcomes = self._execute(batch)
            # Before anyone hears of it: the next request of whoever waited for this one finds a free worker.
            with self._lock:
                self._busy -= 1
                self._running -= len(batch)
            self._settle(list(zip(batch, outcomes, strict=True)))

    def _take(self) -> list[Job]:
        with self._lock:
            batch = self._alive(self._queue.pop(self.settings.max_batch))
            if not batch:
                return []
            while len(batch) < self.settings.max_batch:
                more = self._queue.pop_group(batch[0].group, self.settings.max_batch - len(batch))
                if not more:
                    break
                batch += self._alive(more)
            self._busy += 1
            if self.settings.max_wait and batch[0].model.batches:
                self._fill(batch)
            self._running += len(batch)
            return batch

    def _fill(self, batch: list[Job]) -> None:
        """Wait for more of the same group while nothing else waits."""
        until = min(job.arrived for job in batch) + self.settings.max_wait
        while len(batch) < self.settings.max_batch and not len(self._queue) and not self._closed:
            remaining = until - time.perf_counter()
            if remaining <= 0:
                return
            self._arrived.wait(remaining)
            batch += self._alive(self._queue.pop_group(batch[0].group, self.settings.max_batch - len(batch)))

    def _alive(self, jobs: list[Job]) -> list[Job]:
        ready = time.perf_counter()
        if len(self._queue):
            # Somebody else is served instead of one whose answer would come too late. Where nobody waits, it is tried:
            # the estimate may be wrong, and would never be put right.
            ready += self.seconds_per_job * len(jobs)
        late = [job for job in jobs if job.expired(ready)]
        if late:
            error = LateError("the deadline would pass before the answer is ready; send less, or allow more time")
            self._settle([(job, error) for job in late])
        return [job for job in jobs if not (job.cancelled or job in late)]

    def _execute(self, batch: list[Job]) -> Sequence[Outcome]:
        started = time.perf_counter()
        try:
            outcomes = self._run_batch(batch)
        except Exception:  # the boundary: whatever fails is ours, and its detail stays in the log
            log.exception("batch failed", requests=len(batch))
            outcomes = [InternalError()] * len(batch)
        per_job = (time.perf_counter() - started) / len(batch)
        last = self.seconds_per_job
        self.seconds_per_job = per_job if not last else last + _SMOOTHING * (per_job - last)
        return outcomes

    def _settle(self, outcomes: list[tuple[Job, Outcome]]) -> None:
        answers = [(job.answer, outcome) for job, outcome in outcomes if job.answer is not None]
        for loop in {answer.get_loop() for answer, _ in answers}:
            try:
                loop.call_soon_threadsafe(_deliver, [one for one in answers if one[0].get_loop() is loop])
            except RuntimeError:
                # The loop was closed under us: nobody waits for this any more.
                continue

    def _decode(self) -> None:
        while (job := self._ahead.get()) is not None:
            if not job.cancelled:
                try:
                    job.decode()
                except ServiceError:
                    # The worker meets it again and answers with it.
                    continue


def _deliver(outcomes: list[tuple[Answer, Outcome]]) -> None:
    for answer, outcome in outcomes:
        if answer.done():
            continue
        if isinstance(outcome, ServiceError):
            answer.set_exception(outcome)
        else:
            answer.set_result(outcome)
