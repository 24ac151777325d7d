"""Everything that is counted about a service, in one place that metrics and the status page read."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from splitnet.cloud.observe.clients import Clients
from splitnet.cloud.observe.observer import Observer, message, reason
from splitnet.cloud.observe.timeline import Timeline
from splitnet.observe.histogram import Histogram
from splitnet.observe.text import shown

if TYPE_CHECKING:
    from splitnet.cloud.access.caller import Caller
    from splitnet.cloud.batching import Job
    from splitnet.errors import ServiceError
    from splitnet.wire.exchange import InferenceRequest, InferenceResponse, Timing

SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
STAGES = ("decode", "graph", "heads", "post")
SERIES = 256
"""Model, version and cut together: so many are told apart, the rest are counted as `other`."""
ERRORS = 20
"""Errors remembered."""

Key = tuple[str, str, str]


class Series:
    """Counts of one cut of one version of a model; times in seconds."""

    __slots__ = ("batch_seconds", "batch_sizes", "bytes_in", "codes", "queue", "stages", "total")

    def __init__(self) -> None:
        self.codes: dict[str, int] = {}
        self.bytes_in = 0
        self.queue, self.total = Histogram(SECONDS), Histogram(SECONDS)
        self.stages = tuple(Histogram(SECONDS) for _ in STAGES)
        self.batch_sizes, self.batch_seconds = Histogram(SIZES), Histogram(SECONDS)

    def time(self, timing: Timing) -> None:
        decode, graph, heads, post = self.stages
        decode.add(timing.decode)
        graph.add(timing.graph)
        heads.add(timing.heads)
        post.add(timing.post)
        self.queue.add(timing.queue)
        self.total.add(timing.total)


@dataclass(slots=True)
class Failure:
    """An error, and how often it came in a row; `seen` reads the clock. Names are fit to be shown."""

    code: str
    reason: str
    message: str
    model: str
    cut: str
    client: str
    seen: float
    times: int = 1


@dataclass
class Tally(Observer):
    """Counts requests. Safe from any thread; `clock` is in seconds and never goes back."""

    clock: Callable[[], float] = time.monotonic
    series: dict[Key, Series] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    """Requests that were not admitted, by status code."""
    rejections: dict[tuple[str, str], int] = field(default_factory=dict)
    """Requests without a result, by status code and reason."""
    clients: Clients = field(default_factory=Clients)
    timeline: Timeline = field(default_factory=Timeline)
    failures: deque[Failure] = field(default_factory=lambda: deque(maxlen=ERRORS))
    bytes_out: int = 0
    streams: int = 0

    def __post_init__(self) -> None:
        self.lock = threading.Lock()
        self.started = self.clock()

    def answered(self, job: Job, response: InferenceResponse) -> None:
        now, size = self.clock(), job.size
        with self.lock:
            series = self._of(job)
            series.codes["OK"] = series.codes.get("OK", 0) + 1
            series.bytes_in += size
            series.time(response.timing)
            slot = self.timeline.at(now)
            slot.answered += 1
            slot.bytes_in += size
            slot.latency.add(response.timing.total)
            self.clients.add(job.caller.identity, size, False, now)

    def failed(self, job: Job, error: ServiceError) -> None:
        with self.lock:
            series = self._of(job)
            series.codes[error.code] = series.codes.get(error.code, 0) + 1
            series.bytes_in += job.size
            self._without_result(error, job.caller, job.request)

    def refused(self, error: ServiceError, caller: Caller, request: InferenceRequest | None = None) -> None:
        with self.lock:
            self.refusals[error.code] = self.refusals.get(error.code, 0) + 1
            self._without_result(error, caller, request)

    def batch(self, jobs: Sequence[Job], seconds: float) -> None:
        with self.lock:
            series = self._of(jobs[0])
            series.batch_sizes.add(len(jobs))
            series.batch_seconds.add(seconds)

    def sent(self, size: int) -> None:
        with self.lock:
            self.bytes_out += size
            self.timeline.at(self.clock()).bytes_out += size

    def stream(self, change: int) -> None:
        with self.lock:
            self.streams += change

    def _of(self, job: Job) -> Series:
        manifest = job.model.bundle.manifest
        key = (manifest.name, manifest.version, job.cut.name)
        found = self.series.get(key)
        if found is None:
            if len(self.series) >= SERIES:
                key = ("other", "", "")
            found = self.series.setdefault(key, Series())
        return found

    def _without_result(self, error: ServiceError, caller: Caller, request: InferenceRequest | None) -> None:
        now, why = self.clock(), reason(error)
        size = 0 if request is None else len(request.frame)
        self.rejections[error.code, why] = self.rejections.get((error.code, why), 0) + 1
        slot = self.timeline.at(now)
        slot.failed += 1
        slot.bytes_in += size
        self.clients.add(caller.identity, size, True, now)
        last = self.failures[-1] if self.failures else None
        if last is not None and (last.code, last.reason, last.client) == (error.code, why, shown(caller.identity)):
            last.times, last.seen, last.message = last.times + 1, now, message(error)
            return
        model, cut = ("", "") if request is None else (shown(request.model), shown(request.cut))
        failure = Failure(error.code, why, message(error), model, cut, shown(caller.identity), now)
        self.failures.append(failure)
