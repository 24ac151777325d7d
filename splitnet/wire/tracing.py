"""OpenTelemetry where it is wanted: nothing of it is imported otherwise."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from splitnet.errors import UsageError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
CALL = "splitnet.v1.InferenceService/Infer"
"""What spans of a request are called, on a stream as well."""


def tracer_provider(name: str) -> TracerProvider | None:
    """A provider that sends spans to the OTLP collector of OpenTelemetry's own variables, or None where they name none.

    `name` is the service's, unless OTEL_SERVICE_NAME has another.

    Raises
    ------
    UsageError
        if opentelemetry is not installed.
    """
    wanted = any(os.environ.get(variable) for variable in ENDPOINTS)
    if not wanted or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise UsageError(f"traces need {error.name}; pip install 'splitnet[otel]'") from error
    named = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": name}
    provider = TracerProvider(resource=Resource.create(named))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
