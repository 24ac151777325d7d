"""Records on their way to one sink: in batches, again until they are safe, and only then is an input forgotten."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import structlog

from splitnet.edge.daemon.record import Record
from splitnet.edge.observe.tally import EdgeTally
from splitnet.edge.sinks.contract import Sink
from splitnet.edge.spool.store import Done, Store
from splitnet.errors import OutputError

log = structlog.get_logger()

WAITING = 256
"""Records that may wait for a sink; whoever has one more waits itself."""
TOGETHER = 0.02
"""Seconds between two writes: what comes in between is written together, as each waits for the disk."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 10.0
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Written:
    """A record, for how long its id is to be known, and what to do once it is safe."""

    record: Record
    remember: float
    safe: Callable[[Record], None]


class Recorder:
    """Writes to one sink in a thread of its own. What it is given is written sooner or later, or comes again."""

    def __init__(self, name: str, sink: Sink, store: Store, tally: EdgeTally) -> None:
        self.name = name
        self._sink, self._store, self._tally = sink, store, tally
        self._queue: asyncio.Queue[Written] = asyncio.Queue(WAITING)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"sink-{name}")
        self._found: frozenset[str] = frozenset()

    @property
    def waiting(self) -> int:
        """Records that wait."""
        return self._queue.qsize()

    async def put(self, written: Written) -> None:
        """Hand a record over; waits while the sink cannot keep up."""
        await self._queue.put(written)

    async def run(self) -> None:
        """Put the sink in order after a crash, then write until cancelled."""
        loop, begun = asyncio.get_running_loop(), 0.0
        await self._insist(self._resume, 0)
        while True:
            batch = [await self._queue.get()]
            await asyncio.sleep(max(0.0, begun + TOGETHER - loop.time()))
            begun = loop.time()
            while len(batch) < WAITING and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            await self._until_safe([one for one in batch if one.record.id not in self._found])
            if self._queue.empty():
                # What was on its way when the sink was put in order has come by now.
                self._found = frozenset()
            for one in batch:
                one.safe(one.record)

    def close(self) -> None:
        """Let go of the sink, after what it does now."""
        self._thread.submit(self._sink.close)
        self._thread.shutdown(wait=True)

    async def _until_safe(self, batch: list[Written]) -> None:
        if batch:
            await self._insist(lambda: self._sink.write([one.record for one in batch]), len(batch))
            self._tally.sink_written(self.name, len(batch))
            # Behind the write: a crash in between brings the records again, and the sink knows them.
            await self._insist(lambda: self._note(batch), len(batch))

    async def _insist(self, work: Callable[[], None], records: int) -> None:
        """Do it in the sink's thread, again and again until it works."""
        pause = FIRST_PAUSE
        while True:
            try:
                await self._call(work)
                return
            except OutputError as error:
                self._tally.sink_error(self.name, str(error))
                log.warning("sink", sink=self.name, error=str(error), records=records, again_in=pause)
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)

    def _note(self, batch: list[Written]) -> None:
        self._store.done([Done(one.record.id, one.remember) for one in batch], {self.name: self._sink.mark})

    def _resume(self) -> None:
        # A file that others write to as well may hold other ids than ours.
        found = [one for one in self._sink.resume(self._store.mark(self.name)) if _ID.fullmatch(one)]
        self._store.done([Done(one, float("inf")) for one in found], {self.name: self._sink.mark})
        self._found = frozenset(found)

    async def _call(self, work: Callable[[], None]) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, work)
