"""OpenTelemetry spans of requests, made when these are over and off the event loop."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from queue import SimpleQueue
from typing import TYPE_CHECKING

import structlog
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from splitnet._version import __version__
from splitnet.cloud.observe.observer import Observer, message, reason
from splitnet.errors import ServiceError
from splitnet.observe.text import shown
from splitnet.wire.tracing import CALL

if TYPE_CHECKING:
    from splitnet.cloud.access.caller import Caller
    from splitnet.cloud.batching import Job
    from splitnet.wire.exchange import InferenceRequest, InferenceResponse, Timing

WAITING = 4096
"""Requests whose spans are still to be made; those of further ones are left out."""

Over = tuple["InferenceRequest", "Job | None", "InferenceResponse | ServiceError", float]
log = structlog.get_logger("splitnet.server")


class Spans(Observer):
    """A server span for each request, below the edge's own where it sent one, with a span for each stage in it.

    The stages' times are measured anyway: the spans are made of them afterwards, on a thread of their own, so that a
    request waits for none of it.
    """

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = trace.get_tracer("splitnet.cloud", __version__, provider)
        self._propagator = TraceContextTextMapPropagator()
        self._over: SimpleQueue[Over | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="spans", daemon=True)
        self._thread.start()

    def answered(self, job: Job, response: InferenceResponse) -> None:
        self._put(job.request, job, response)

    def failed(self, job: Job, error: ServiceError) -> None:
        self._put(job.request, job, error)

    def refused(self, error: ServiceError, caller: Caller, request: InferenceRequest | None = None) -> None:
        if request is not None:
            self._put(request, None, error)

    def close(self) -> None:
        """Make the spans of what is over."""
        self._over.put(None)
        self._thread.join(timeout=5)

    def _put(self, request: InferenceRequest, job: Job | None, outcome: InferenceResponse | ServiceError) -> None:
        if self._over.qsize() < WAITING:
            self._over.put((request, job, outcome, time.perf_counter()))

    def _work(self) -> None:
        while (over := self._over.get()) is not None:
            try:
                self._make(*over)
            except Exception:  # the boundary: a trace that cannot be made must not end all that follow
                log.exception("a trace was lost")

    def _make(
        self, request: InferenceRequest, job: Job | None, outcome: InferenceResponse | ServiceError, ended: float
    ) -> None:
        # Readings of perf_counter, in seconds -> nanoseconds since 1970.
        offset = time.time() - time.perf_counter()
        start = ended if job is None else job.arrived
        parent = self._propagator.extract({"traceparent": request.traceparent}, Context())
        span = self._tracer.start_span(
            CALL, parent, SpanKind.SERVER, _attributes(request, job), start_time=_nanoseconds(start + offset)
        )
        if span.is_recording():
            if isinstance(outcome, ServiceError):
                span.set_status(Status(StatusCode.ERROR, message(outcome)))
                span.set_attribute("rpc.response.status_code", outcome.code)
                span.set_attribute("splitnet.reason", reason(outcome))
            else:
                span.set_attribute("rpc.response.status_code", "OK")
                span.set_attribute("splitnet.batch", outcome.timing.batch)
                self._stages(span, outcome.timing, start + offset)
        span.end(_nanoseconds(ended + offset))

    def _stages(self, parent: Span, timing: Timing, start: float) -> None:
        context = trace.set_span_in_context(parent, Context())
        for stage in ("queue", "decode", "graph", "heads", "post"):
            seconds: float = getattr(timing, stage)
            child = self._tracer.start_span(stage, context, start_time=_nanoseconds(start))
            start += seconds
            child.end(_nanoseconds(start))


def _attributes(request: InferenceRequest, job: Job | None) -> dict[str, str | int | Sequence[str]]:
    attributes: dict[str, str | int | Sequence[str]] = {
        "rpc.system": "grpc",
        "splitnet.model": shown(request.model),
        "splitnet.cut": shown(request.cut),
        "splitnet.frame_bytes": len(request.frame),
    }
    if request.request_id:
        attributes["splitnet.request_id"] = request.request_id.hex()
    if job is not None:
        attributes["splitnet.version"] = job.model.bundle.manifest.version
        attributes["splitnet.tasks"] = [head.task.name for head in job.heads]
    return attributes


def _nanoseconds(seconds: float) -> int:
    return int(seconds * 1e9)
