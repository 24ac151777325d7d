"""Traces of commands."""

from __future__ import annotations


def send_traces(service: str) -> None:
    """Send spans where OpenTelemetry's environment variables say, if they do."""
    from splitnet.wire.tracing import tracer_provider

    provider = tracer_provider(service)
    if provider is not None:
        from opentelemetry import trace

        # Its spans are sent at the latest when the interpreter ends.
        trace.set_tracer_provider(provider)
