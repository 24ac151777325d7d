"""What waits in the spool goes to the servers when they are back: oldest first, behind live inputs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import structlog

from splitnet.edge.daemon.model import written
from splitnet.edge.daemon.pipeline import request_id
from splitnet.edge.daemon.record import Record, Status
from splitnet.edge.daemon.recorder import Recorder, Written
from splitnet.edge.link.servers import Servers
from splitnet.edge.observe.tally import EdgeTally
from splitnet.edge.spool.entry import Entry
from splitnet.edge.spool.store import Store
from splitnet.errors import (
    FingerprintError,
    InvalidRequestError,
    OutputError,
    OverloadedError,
    ServiceError,
    UnknownError,
)
from splitnet.wire.exchange import InferenceRequest

log = structlog.get_logger()

WINDOW = 4
"""Frames of the spool under way at a time while nothing live is; one where something is."""
LOOK, TIDY = 0.5, 60.0
"""Seconds between two looks at an empty spool, and between two clean-ups."""
PARKED = 60.0
"""Seconds until a frame is tried again whose bundle no server has now."""


class Drainer:
    """Sends, records, and lets what is too old expire; a record says so. Belongs to one event loop.

    `recorders` has one for every source; frames of a source that is no longer configured go to `other`'s.
    """

    def __init__(
        self,
        store: Store,
        servers: Servers,
        recorders: Mapping[str, Recorder],
        other: Recorder,
        tally: EdgeTally,
        live: Callable[[], int],
        *,
        timeout: float,
        max_age: float,
    ) -> None:
        self._store, self._servers, self._tally, self._live = store, servers, tally, live
        self._recorders, self._other = recorders, other
        self._timeout, self._max_age = timeout, max_age
        self._under_way: dict[str, float] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Drain until cancelled."""
        tidied = time.monotonic()
        try:
            while True:
                if not await self._look():
                    await self._rest()
                if time.monotonic() - tidied > TIDY:
                    tidied = time.monotonic()
                    with suppress(OutputError):
                        await asyncio.to_thread(self._store.tidy)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _rest(self) -> None:
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
        else:
            await asyncio.sleep(LOOK)

    async def _look(self) -> bool:
        """Begin with one entry, if there is one to begin with."""
        now = time.monotonic()
        for key in [key for key, until in self._under_way.items() if until <= now]:
            del self._under_way[key]
        if not len(self._store) or len(self._tasks) >= (1 if self._live() else WINDOW):
            return False
        try:
            found = await asyncio.to_thread(self._store.oldest, 1, but=tuple(self._under_way))
        except OutputError as error:
            log.warning("spool", error=str(error))
            return False
        if not found:
            return False
        entry, age = found[0]
        expired = age > self._max_age
        if not expired and self._servers.current is None:
            return False
        self._under_way[entry.id] = float("inf")
        task = asyncio.create_task(self._one(entry, age, expired))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return True

    async def _one(self, entry: Entry, age: float, expired: bool) -> None:
        try:
            await (self._expire(entry, age) if expired else self._ask(entry))
        except Exception:  # a defect of ours must not hold a frame back until the next start
            log.exception("defect", name=entry.name)
            self._under_way[entry.id] = time.monotonic() + PARKED

    async def _ask(self, entry: Entry) -> None:
        request = InferenceRequest(
            model=entry.model,
            fingerprint=entry.fingerprint,
            cut=entry.cut,
            frame=entry.frame,
            tasks=entry.tasks,
            top_k=entry.top_k,
            request_id=request_id(entry.id, entry.model, entry.cut, entry.tasks, entry.top_k, entry.frame),
        )
        try:
            response, _ = await self._servers.infer(request, self._timeout, 0.0, live=False)
        except (FingerprintError, UnknownError) as error:
            log.warning("spool", name=entry.name, error=str(error), again_in=PARKED)
            self._under_way[entry.id] = time.monotonic() + PARKED
        except InvalidRequestError as error:
            await self._record(entry, "failed", error=str(error))
        except ServiceError as error:
            # One that is over a limit will be so in a moment, too.
            over = isinstance(error, OverloadedError) and error.retry_after is None
            self._under_way[entry.id] = time.monotonic() + (PARKED if over else LOOK)
        else:
            await self._record(entry, "cloud", results=written(response.results))

    async def _expire(self, entry: Entry, age: float) -> None:
        await self._record(entry, "expired", error=f"waited {age:.0f} s for a server, longer than {self._max_age:g} s")

    async def _record(
        self, entry: Entry, status: Status, *, results: Mapping[str, object] | None = None, error: str = ""
    ) -> None:
        now = time.time()
        record = Record(
            id=entry.id,
            source=entry.source,
            name=entry.name,
            captured=entry.captured,
            answered=now,
            latency=max(0.0, now - entry.captured),
            status=status,
            model=entry.model,
            cut=entry.cut,
            codec=entry.codec,
            frame_bytes=len(entry.frame) if status == "cloud" else 0,
            spooled=True,
            results=results or {},
            error=error,
        )
        self._tally.recorded(record)
        recorder = self._recorders.get(entry.source, self._other)
        await recorder.put(Written(record, entry.remember, self._safe))

    def _safe(self, record: Record) -> None:
        self._under_way.pop(record.id, None)
