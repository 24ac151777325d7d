"""Many photos through one edge: a bounded number in flight, outcomes as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from splitnet.edge.client import AsyncEdge, Inference
from splitnet.errors import (
    FingerprintError,
    ImageError,
    PermissionDeniedError,
    SampleError,
    ServiceError,
    SplitnetError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
    UnknownError,
)

FATAL = (
    UnavailableError,
    FingerprintError,
    UnimplementedError,
    UnknownError,
    UnauthenticatedError,
    PermissionDeniedError,
)
"""Answers that every further photo would get too: the run ends with the first."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One photo and its answer, or the reason why there is none."""

    path: Path
    inference: Inference | None = None
    error: SplitnetError | None = None


async def run(
    edge: AsyncEdge,
    paths: Iterable[Path],
    *,
    tasks: Sequence[str] = (),
    top_k: int = 0,
    deadline: float | None = None,
    in_flight: int = 4,
) -> AsyncIterator[Outcome]:
    """Yield an outcome for each photo, in the order in which they are ready.

    At most `in_flight` photos are between disk and answer, so memory does not grow with their number. `deadline` is in
    seconds, for each exchange. An unreadable photo (or other input) and an answer that is late or refused are outcomes.

    Raises
    ------
    ServiceError
        one of `FATAL`, where going on makes no sense.
    """

    async def one(path: Path) -> Outcome:
        try:
            return Outcome(path, await edge.infer(path, tasks, top_k=top_k, timeout=deadline))
        except FATAL:
            raise
        except (ImageError, SampleError, ServiceError) as error:
            return Outcome(path, error=error)

    running: set[asyncio.Task[Outcome]] = set()
    try:
        for path in paths:
            running.add(asyncio.create_task(one(path)))
            if len(running) >= in_flight:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for outcome in _finished(done):
                    yield outcome
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for outcome in _finished(done):
                yield outcome
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def _finished(done: Iterable[asyncio.Task[Outcome]]) -> Iterator[Outcome]:
    """Every answer of the batch, then the first failure: an answer that is there is never dropped."""
    failures = []
    for task in done:
        failure = task.exception()
        if failure is None:
            yield task.result()
        else:
            failures.append(failure)
    if failures:
        raise failures[0]
