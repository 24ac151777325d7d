"""The daemon's door in tests of sources."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable

from splitnet.edge.capture.contract import Source
from splitnet.edge.daemon.item import Item, Settled
from splitnet.edge.daemon.record import Record

SECONDS = 30
"""Nothing in these tests takes so long, unless it never comes."""


class FakeIntake:
    """Keeps what it is offered; `answer`, where it says something, settles an item at once.

    While `room` is not set, whoever offers waits.
    """

    def __init__(self, known: Iterable[str] = (), answer: Callable[[Item], Settled | None] = lambda _: None) -> None:
        self.items: list[Item] = []
        self.room = asyncio.Event()
        self.room.set()
        self.waiting = asyncio.Event()
        self._known, self._answer = set(known), answer
        self._came = asyncio.Condition()

    @property
    def names(self) -> list[str]:
        return [item.name for item in self.items]

    async def offer(self, item: Item) -> None:
        self.waiting.set()
        await self.room.wait()
        self.items.append(item)
        self._known.add(item.id)
        async with self._came:
            self._came.notify_all()
        settled = self._answer(item)
        if settled is not None:
            item.settle(settled)

    def known(self, item_id: str) -> bool:
        return item_id in self._known

    async def until(self, count: int) -> None:
        """Wait for so many items."""
        async with asyncio.timeout(SECONDS), self._came:
            await self._came.wait_for(lambda: len(self.items) >= count)


def recorded(item: Item, status: str = "cloud") -> Settled:
    return Settled("recorded", Record(item.id, item.source, item.name, 1.0, 2.0, 1.0, status))  # type: ignore[arg-type]  # a status as text


@contextlib.asynccontextmanager
async def running(source: Source, intake: FakeIntake) -> AsyncIterator[asyncio.Task[None]]:
    """A source at work; cancelled at the end."""
    task = asyncio.create_task(source.run(intake))
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def eventually(holds: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    async with asyncio.timeout(SECONDS):
        while not holds():
            await asyncio.sleep(0.01)
