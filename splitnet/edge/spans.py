"""The device's span of a request, where the application traces with OpenTelemetry."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from splitnet._version import __version__
from splitnet.wire.exchange import InferenceRequest
from splitnet.wire.tracing import CALL


@contextmanager
def exchange_span(request: InferenceRequest, server: str) -> Iterator[InferenceRequest]:
    """A client span around the exchange with `server`: the request that carries it.

    Whoever traces has imported OpenTelemetry; without that, this does nothing, and imports nothing.
    """
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        yield request
        return
    attributes = {
        "rpc.system": "grpc",
        "server.address": server,
        "splitnet.model": request.model,
        "splitnet.cut": request.cut,
        "splitnet.frame_bytes": len(request.frame),
    }
    tracer = trace.get_tracer("splitnet.edge", __version__)
    with tracer.start_as_current_span(CALL, kind=trace.SpanKind.CLIENT, attributes=attributes) as span:
        context = span.get_span_context()
        if not context.is_valid:
            yield request
            return
        parent = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
        yield replace(request, traceparent=parent)
