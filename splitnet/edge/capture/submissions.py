"""Items whose senders wait for the answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, Literal

from splitnet.edge.capture.contract import Intake
from splitnet.edge.daemon.item import Item, Settled

Outcome = Settled | Literal["known", "ended"]
"""`known`: an item of this id is recorded, spooled or under way already; `ended`: the source ends before the answer."""


class Submissions:
    """Offers items and waits until they are settled. All of it happens on the daemon's event loop."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._waiting: dict[str, asyncio.Task[Any]] = {}
        self._ended = False

    async def submit(self, item: Item) -> Outcome:
        """Offer an item; its own `settle` is not called. Who no longer listens takes nothing back: the item goes on."""
        if self._ended:
            return "ended"
        if item.id in self._waiting or self._intake.known(item.id):
            return "known"
        task = asyncio.current_task()
        assert task is not None
        answer: asyncio.Future[Settled] = asyncio.get_running_loop().create_future()

        def settle(settled: Settled) -> None:
            if not answer.done():
                answer.set_result(settled)

        self._waiting[item.id] = task
        try:
            await self._intake.offer(replace(item, settle=settle))
            return await answer
        except asyncio.CancelledError:
            return "ended"
        finally:
            del self._waiting[item.id]

    async def end(self, seconds: float) -> None:
        """Take no more items, and wait so long for answers; then all that still wait hear that it is over."""
        self._ended = True
        if self._waiting:
            await asyncio.wait(self._waiting.values(), timeout=seconds)
        for task in list(self._waiting.values()):
            task.cancel()
