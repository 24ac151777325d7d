"""From an input to its record: compute, send, fall back. Stages of different inputs overlap."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar

import structlog

from splitnet.edge.adapt.choice import Choice
from splitnet.edge.daemon.intake import Intake
from splitnet.edge.daemon.item import ID_BYTES, Item, Settled
from splitnet.edge.daemon.model import Work, written
from splitnet.edge.daemon.record import Record
from splitnet.edge.daemon.recorder import Written
from splitnet.edge.daemon.way import Way
from splitnet.edge.link.servers import Servers
from splitnet.edge.observe.tally import EdgeTally
from splitnet.edge.spans import exchange_span
from splitnet.edge.spool.entry import Entry
from splitnet.edge.spool.store import Store
from splitnet.errors import (
    BundleError,
    ImageError,
    InvalidRequestError,
    LateError,
    ModelError,
    OutputError,
    SampleError,
    ServiceError,
    SplitnetError,
)
from splitnet.wire.exchange import InferenceRequest

log = structlog.get_logger()
T = TypeVar("T")

AHEAD = 2
"""Inputs that the compute thread has at a time: one that it works on, and the next, so that it never waits for us."""
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
PAUSES = (0.2, 1.0, 5.0)
"""Seconds before an input is read again that could not be read for a passing reason."""
_PASSING = {errno.EIO, errno.ESTALE, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR}


class Pipeline:
    """Works on inputs until it is cancelled. Belongs to one event loop.

    One thread computes, so that a device's other cores stay free; bytes are copied where a photo is decoded, where it
    becomes the network's input, where the coder writes the frame, where protobuf puts it into a message, and by gRPC.
    """

    def __init__(
        self,
        ways: Mapping[str, Way],
        intake: Intake,
        servers: Servers,
        store: Store,
        tally: EdgeTally,
        *,
        timeout: float,
    ) -> None:
        self.ways = dict(ways)
        self._intake, self._servers, self._store, self._tally = intake, servers, store, tally
        self._timeout = timeout
        self._ahead = asyncio.Semaphore(AHEAD)
        self._compute = ThreadPoolExecutor(1, thread_name_prefix="compute")
        self._tasks: set[asyncio.Task[None]] = set()
        self.sending = 0
        self._begun: float | None = None

    @property
    def computing(self) -> float:
        """Seconds that the compute thread is at its present work; 0 where it has none."""
        begun = self._begun
        return 0.0 if begun is None else time.monotonic() - begun

    async def run(self) -> None:
        """Take inputs, one after the other, and work on several at a time."""
        try:
            while True:
                await self._ahead.acquire()
                item = await self._intake.next()
                task = asyncio.create_task(self._one(item))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._compute.shutdown(wait=False, cancel_futures=True)

    async def _one(self, item: Item) -> None:
        way = self.ways[item.source]
        try:
            record = await self._answer(way, item)
        except (ImageError, SampleError, InvalidRequestError) as error:
            record = way.record(item, "failed", error=str(error))
        except Exception as error:  # a defect of ours costs one input, never the daemon
            log.exception("defect", source=item.source, name=item.name)
            record = way.record(item, "failed", error=f"internal error: {type(error).__name__}: {error}")
        if record is not None:
            await self._hand_over(way, item, record)
        self._intake.leave(item)

    async def _hand_over(self, way: Way, item: Item, record: Record) -> None:
        jpeg = way.model.jpeg_bytes
        self._tally.recorded(record, round(jpeg) if jpeg and record.status != "failed" else None)
        safe = partial(self._safe, item)
        await way.recorder.put(Written(record, item.remember, safe))

    def _safe(self, item: Item, record: Record) -> None:
        self._intake.settle(item, Settled("recorded", record))

    async def _answer(self, way: Way, item: Item) -> Record | None:
        try:
            choice = way.choose(self._servers.hopeful)
            work = await self._work(way, item, choice)
        finally:
            self._ahead.release()
        way.chooser.computed(choice, work.seconds)
        if work.results is not None:
            return self._local(way, item, work.results)
        assert work.encoded is not None
        if way.scene is not None and way.scene.unchanged(choice.way, work.encoded.values):
            return way.record(item, "skipped", results=way.last)
        return await self._ask(way, item, work)

    async def _work(self, way: Way, item: Item, choice: Choice) -> Work:
        """Read and compute; what is promised is tried again where the device, and not the input, is at fault."""
        for pause in PAUSES:
            try:
                return await self._run(way.model.work, item.photo, choice, way.tasks, way.section.top_k)
            except SplitnetError as error:
                if not way.promised or not _passing(error):
                    raise
                log.warning("waits", source=item.source, name=item.name, error=str(error), again_in=pause)
            await asyncio.sleep(pause)
        return await self._run(way.model.work, item.photo, choice, way.tasks, way.section.top_k)

    def _local(self, way: Way, item: Item, results: Mapping[str, Any]) -> Record:
        if way.scene is not None:
            way.scene.forget()
        return way.record(item, "local", results=results)

    async def _ask(self, way: Way, item: Item, work: Work) -> Record | None:
        """The servers' answer, or what there is instead; None where the input is in the spool, or given up."""
        try:
            return await self._insist(way, item, work)
        except asyncio.CancelledError:
            # The daemon ends, and the input may not come again.
            if way.spools:
                with suppress(OutputError):
                    self._store.put([_entry(way, item, work)])
                    self._intake.settle(item, Settled("spooled"))
            raise

    async def _insist(self, way: Way, item: Item, work: Work) -> Record | None:
        pause, patience = FIRST_PAUSE, self._patience(way, item, work)
        while True:
            try:
                return await self._exchange(way, item, work, patience)
            except InvalidRequestError:
                raise
            except ServiceError as error:
                failure: SplitnetError = error
            if way.alone and way.section.fallback[0] == "local":
                return await self._alone(way, item, work)
            if way.spools:
                try:
                    await self._spool(way, item, work)
                    return None
                except OutputError as error:
                    failure = error
            if way.alone:
                return await self._alone(way, item, work)
            left = way.left(item)
            if not way.promised and (left is None or left <= pause):
                self._intake.drop(item, "unanswered")
                return None
            if pause == FIRST_PAUSE:
                self._tally.source_error(item.source, str(failure))
                log.warning("waits", source=item.source, name=item.name, error=str(failure))
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)
            # What is promised is late by now; it still needs an answer.
            patience = self._timeout if way.promised else self._patience(way, item, work)

    def _patience(self, way: Way, item: Item, work: Work) -> float:
        """Seconds to wait for an answer: until the deadline, less what the device needs to keep it alone."""
        left = way.left(item)
        if left is None:
            return self._timeout
        if way.alone and work.choice.local < left:
            left -= work.choice.local
        return min(self._timeout, left)

    async def _exchange(self, way: Way, item: Item, work: Work, patience: float) -> Record:
        if patience <= 0:
            raise LateError("the deadline passed before anything was sent")
        assert work.encoded is not None
        manifest, choice, frame = way.model.bundle.manifest, work.choice, work.encoded.frame
        request = InferenceRequest(
            model=manifest.name,
            fingerprint=way.model.bundle.fingerprint,
            cut=choice.cut,
            frame=frame,
            tasks=way.tasks,
            top_k=way.section.top_k,
            version=manifest.version,
            request_id=request_id(item.id, manifest.name, choice.cut, way.tasks, way.section.top_k, frame),
            priority=way.section.priority,
        )
        self.sending += 1
        try:
            with exchange_span(request, "") as request:
                response, _ = await self._servers.infer(request, patience, choice.answer)
        finally:
            self.sending -= 1
        timing = response.timing
        way.chooser.answered(choice, timing.total - timing.queue)
        results = written(response.results)
        if way.scene is not None:
            way.scene.answered(choice.way, work.encoded.values)
            way.last = results
        return way.record(item, "cloud", choice, frame_bytes=len(frame), results=results)

    async def _alone(self, way: Way, item: Item, work: Work) -> Record:
        results = await self._run(way.model.answer, work.ready, way.tasks, way.section.top_k)
        return self._local(way, item, results)

    async def _spool(self, way: Way, item: Item, work: Work) -> None:
        await asyncio.to_thread(self._store.put, [_entry(way, item, work)])
        self._tally.spooled(item.source)
        self._intake.settle(item, Settled("spooled"))

    async def _run(self, work: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._compute, self._timed, partial(work, *arguments))

    def _timed(self, work: Callable[[], T]) -> T:
        self._begun = time.monotonic()
        try:
            return work()
        finally:
            self._begun = None


def _entry(way: Way, item: Item, work: Work) -> Entry:
    assert work.encoded is not None
    return Entry(
        id=item.id,
        source=item.source,
        name=item.name,
        captured=item.captured,
        remember=item.remember,
        model=way.model.bundle.manifest.name,
        fingerprint=way.model.bundle.fingerprint,
        cut=work.choice.cut,
        codec=work.choice.codec,
        tasks=way.tasks,
        top_k=way.section.top_k,
        frame=work.encoded.frame,
    )


def request_id(item_id: str, model: str, cut: str, tasks: Sequence[str], top_k: int, frame: bytes) -> bytes:
    """The same question about the same input is the same request, after a crash too; anything else is another one."""
    asked = "\0".join((item_id, model, cut, *tasks, str(top_k)))
    return hashlib.sha256(asked.encode() + b"\0" + frame).digest()[:ID_BYTES]


def _passing(error: Exception) -> bool:
    """Whether an input could not be read for a reason that may pass: memory, descriptors, a disk that stumbles."""
    cause = error.__cause__
    if isinstance(error, BundleError | ModelError):
        # A graph of the bundle, which was in order when the daemon started.
        return True
    return isinstance(cause, MemoryError) or (isinstance(cause, OSError) and cause.errno in _PASSING)
