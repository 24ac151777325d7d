"""The one place that decides what to drop, and which input is next."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from splitnet.edge.config.sources import Drop
from splitnet.edge.daemon.item import Item, Settled
from splitnet.edge.observe.tally import EdgeTally

ROOM = 2
"""Inputs that wait for the device of a source that promises every one; its reader pauses beyond that."""
EARLY = 0.1
"""Share of the pause between two inputs by which one may be early: clocks of cameras are not exact."""


@dataclass(slots=True)
class Lane:
    """A source's place in the line.

    `under_way` counts inputs between the line and their record, at most `most`; memory is bounded by both.
    """

    drop: Drop
    priority: int
    most: int
    rate: float | None = None
    waiting: deque[Item] = field(default_factory=deque)
    under_way: int = 0
    due: float = 0.0
    room: asyncio.Event = field(default_factory=asyncio.Event)


class Intake:
    """Lines of inputs, one a source; belongs to one event loop.

    A source of `latest` has one input waiting: a newer one takes its place. A source of `all` waits itself. The input
    that is next is of the highest priority; sources of the same take turns.

    `remembered` says whether an id was answered or waits in the spool.
    """

    def __init__(
        self,
        lanes: Mapping[str, Lane],
        tally: EdgeTally,
        remembered: Callable[[str], bool] = lambda _: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.lanes = dict(lanes)
        self._tally, self._remembered, self._clock = tally, remembered, clock
        self._ids: set[str] = set()
        self._turns = dict.fromkeys(self.lanes, 0)
        self._turn = 0
        self._ready = asyncio.Event()

    async def offer(self, item: Item) -> None:
        """See `capture.contract.Intake`."""
        lane = self.lanes[item.source]
        self._tally.captured(item.source)
        if not await self._in_time(lane):
            self.drop(item, "rate")
            return
        if lane.drop == "latest" and lane.waiting:
            self.drop(lane.waiting.popleft(), "newer")
        while lane.drop == "all" and len(lane.waiting) >= ROOM:
            lane.room.clear()
            await lane.room.wait()
        self._ids.add(item.id)
        lane.waiting.append(item)
        self._ready.set()

    def known(self, item_id: str) -> bool:
        """See `capture.contract.Intake`."""
        return item_id in self._ids or self._remembered(item_id)

    async def next(self) -> Item:
        """The input to work on now; waits for one."""
        while (name := self._first()) is None:
            self._ready.clear()
            await self._ready.wait()
        lane = self.lanes[name]
        item = lane.waiting.popleft()
        lane.under_way += 1
        self._turn += 1
        self._turns[name] = self._turn
        lane.room.set()
        return item

    def leave(self, item: Item) -> None:
        """The input's work is done, its record is on the way to the sink: there is room for another."""
        self.lanes[item.source].under_way -= 1
        self._ready.set()

    def settle(self, item: Item, settled: Settled) -> None:
        """It is safe to forget the input."""
        self._ids.discard(item.id)
        item.settle(settled)

    def drop(self, item: Item, reason: str) -> None:
        """Give an input up, by policy; `reason` is one word."""
        self._tally.dropped(item.source, reason)
        self.settle(item, Settled("dropped"))

    @property
    def idle(self) -> bool:
        """Whether nothing waits or is under way, records on their way to sinks included."""
        return not self._ids

    def give_up(self) -> None:
        """Drop what waits: the daemon ends, and what was promised comes again with the next start."""
        for lane in self.lanes.values():
            while lane.waiting:
                item = lane.waiting.popleft()
                self._ids.discard(item.id)
                item.settle(Settled("dropped"))

    async def _in_time(self, lane: Lane) -> bool:
        if lane.rate is None:
            return True
        pause, now = 1 / lane.rate, self._clock()
        if lane.drop == "all":
            await asyncio.sleep(max(0.0, lane.due - now))
        elif now < lane.due - EARLY * pause:
            return False
        lane.due = max(lane.due + pause, now)
        return True

    def _first(self) -> str | None:
        ready = [name for name, lane in self.lanes.items() if lane.waiting and lane.under_way < lane.most]
        return min(ready, key=lambda name: (-self.lanes[name].priority, self._turns[name]), default=None)
