"""Threads that run inference off the event loop, and the bounded queue in front of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Generic, NamedTuple, TypeVar

from splitnet.errors import OverloadedError

T = TypeVar("T")


class _Job(NamedTuple, Generic[T]):
    future: asyncio.Future[T]
    work: Callable[[], T]


class WorkerPool(Generic[T]):
    """A fixed number of threads for one event loop.

    A lean stand-in for an executor: one hand-over to a thread and one back is all that a request pays. Work whose
    future is cancelled while it waits is never run and frees its place at once.

    Parameters
    ----------
    workers
        Threads.
    queue
        Jobs that may wait for a thread; one more is refused.
    """

    def __init__(self, workers: int, queue: int) -> None:
        self._jobs: SimpleQueue[_Job[T] | None] = SimpleQueue()
        self._capacity = workers + queue
        self._threads = [
            threading.Thread(target=self._run, name=f"inference-{number}", daemon=True) for number in range(workers)
        ]
        self.in_flight = 0
        for thread in self._threads:
            thread.start()

    def submit(self, work: Callable[[], T]) -> asyncio.Future[T]:
        """Run `work` on a thread; called on the event loop that the future belongs to.

        Raises
        ------
        OverloadedError
            if all threads are busy and the queue is full.
        """
        if self.in_flight >= self._capacity:
            raise OverloadedError(f"{self.in_flight} requests are waiting; send less or try again later")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.in_flight += 1
        future.add_done_callback(self._release)
        self._jobs.put(_Job(future, work))
        return future

    def close(self) -> None:
        """End the threads once the jobs before this call are done; does not wait for them."""
        for _ in self._threads:
            self._jobs.put(None)

    def _release(self, _: asyncio.Future[T]) -> None:
        self.in_flight -= 1

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            if job.future.cancelled():
                continue
            result: T | None = None
            error: BaseException | None = None
            try:
                result = job.work()
            except BaseException as caught:  # noqa: BLE001 - it is raised where the future is awaited
                error = caught
            try:
                job.future.get_loop().call_soon_threadsafe(_deliver, job.future, result, error)
            except RuntimeError:
                # The loop was closed under us: nobody waits for this any more.
                return


def _deliver(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
