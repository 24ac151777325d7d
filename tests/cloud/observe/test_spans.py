"""Traces from the edge into the service, with the SDK's exporter in memory."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from splitnet.bundle import Bundle
from splitnet.cloud import InferenceService
from splitnet.cloud.observe.spans import Spans
from splitnet.cloud.observe.watch import Watch
from splitnet.cloud.server import Server
from splitnet.edge import AsyncEdge
from splitnet.edge.spans import exchange_span
from splitnet.errors import OverloadedError
from splitnet.v1 import inference_pb2_grpc as pb_grpc
from splitnet.wire import messages
from splitnet.wire.exchange import InferenceRequest
from tests.cloud.observe.jobs import CALLER, job, request, response

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> TracerProvider:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return provider


@pytest.fixture
def spans(provider: TracerProvider) -> Iterator[Spans]:
    found = Spans(provider)
    yield found
    found.close()


@pytest.fixture
def tracing(provider: TracerProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application's provider; OpenTelemetry itself lets it be set only once."""
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)


def _by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in exporter.get_finished_spans()}


def test_stages_lie_one_after_the_other_below_the_edges_span(spans: Spans, exporter: InMemorySpanExporter) -> None:
    one = job()
    one.request = dataclasses.replace(one.request, traceparent=PARENT)
    spans.answered(one, response())
    spans.close()
    found = _by_name(exporter)
    assert list(found) == ["queue", "decode", "graph", "heads", "post", "splitnet.v1.InferenceService/Infer"]
    server = found.pop("splitnet.v1.InferenceService/Infer")
    assert server.kind is SpanKind.SERVER
    assert server.parent is not None
    assert f"{server.parent.trace_id:032x}-{server.parent.span_id:016x}" in PARENT
    assert server.attributes is not None
    assert server.attributes["splitnet.version"] == "1"
    assert server.attributes["rpc.response.status_code"] == "OK"
    last = server.start_time
    for stage in found.values():
        assert stage.parent is not None
        assert stage.parent.span_id == server.context.span_id
        assert stage.start_time == pytest.approx(last, abs=1000)
        last = stage.end_time
    graph = found["graph"]
    assert graph.start_time is not None
    assert graph.end_time is not None
    assert graph.end_time - graph.start_time == pytest.approx(2e6, abs=1000)


def test_refusals_are_errors_and_a_made_up_parent_is_none(spans: Spans, exporter: InMemorySpanExporter) -> None:
    spans.refused(OverloadedError("full", reason="queue"), CALLER, dataclasses.replace(request(), traceparent="x" * 55))
    spans.refused(OverloadedError("draining"), CALLER, None)
    spans.close()
    (span,) = exporter.get_finished_spans()
    assert span.parent is None
    assert span.status.status_code is StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["splitnet.reason"] == "queue"


async def test_a_trace_goes_from_the_edge_through_the_service(
    lite0_bundle: Bundle,
    photos: tuple[Path, ...],
    spans: Spans,
    exporter: InMemorySpanExporter,
    tracing: None,
) -> None:
    service = InferenceService([lite0_bundle], observer=spans)
    async with Server(service) as server, AsyncEdge(lite0_bundle, server.address, cut="block7") as edge:
        await edge.infer(photos[0], timeout=20)
    spans.close()
    client, answer = (
        next(span for span in exporter.get_finished_spans() if span.kind is kind)
        for kind in (SpanKind.CLIENT, SpanKind.SERVER)
    )
    assert answer.parent is not None
    assert answer.parent.span_id == client.context.span_id
    assert answer.context.trace_id == client.context.trace_id


async def test_a_unary_call_may_carry_it_as_metadata(
    lite0_bundle: Bundle, spans: Spans, exporter: InMemorySpanExporter
) -> None:
    bad = InferenceRequest("efficientnet-lite0", lite0_bundle.fingerprint, "block7", b"rubbish")
    async with (
        Server(InferenceService([lite0_bundle], observer=spans)) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub: pb_grpc.InferenceServiceAsyncStub = pb_grpc.InferenceServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError):
            await stub.Infer(messages.request_to_message(bad), timeout=20, metadata=(("traceparent", PARENT),))
    spans.close()
    (span,) = exporter.get_finished_spans()
    assert span.parent is not None
    assert f"{span.parent.span_id:016x}" in PARENT


def test_a_request_that_fails_ends_its_span_with_the_error(exporter: InMemorySpanExporter, tracing: None) -> None:
    def fail() -> None:
        with exchange_span(request(), "127.0.0.1:1") as sent:
            assert len(sent.traceparent) == len(PARENT)
            raise OverloadedError("full")

    with pytest.raises(OverloadedError):
        fail()
    (span,) = exporter.get_finished_spans()
    assert span.status.status_code is StatusCode.ERROR


def test_a_request_keeps_its_trace_over_the_wire_and_rubbish_is_dropped() -> None:
    sent = messages.request_to_message(dataclasses.replace(request(), traceparent=PARENT))
    assert messages.request_from_message(sent).traceparent == PARENT
    sent.traceparent = "rubbish" * 1000
    assert messages.request_from_message(sent).traceparent == ""


def test_who_does_not_trace_imports_nothing_of_it() -> None:
    code = (
        "import sys, splitnet.edge, splitnet.cloud.server\n"
        "from splitnet.cloud.observe.watch import Watch\n"
        "from splitnet.edge.spans import exchange_span\n"
        "from splitnet.wire.exchange import InferenceRequest\n"
        "Watch().close()\n"
        "request = InferenceRequest('m', '', 'c', b'')\n"
        "with exchange_span(request, 'x') as sent: assert sent is request\n"
        "heavy = ('opentelemetry', 'uvicorn', 'starlette', 'prometheus_client')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_collector_is_asked_for_by_its_url(monkeypatch: pytest.MonkeyPatch) -> None:
    # Nothing is sent: no span is made, and nobody listens there.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    watch = Watch()
    assert watch._provider is not None
    watch.close()
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert Watch()._provider is None
