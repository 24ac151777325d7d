"""Structured logs on standard error: coloured for a person at a terminal, JSON lines for everything else."""

from __future__ import annotations

import sys

import structlog


def configure_logs(level: str = "info", form: str = "auto") -> None:
    """Set structlog up once for this process; tracebacks leave local variables out, which may hold payloads.

    `form` is `console`, `json`, or `auto`: the one for a terminal, the other for everything else.
    """
    terminal = form == "console" or (form == "auto" and sys.stderr.isatty())
    renderer = (
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if terminal
        else structlog.processors.JSONRenderer()
    )
    processors: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if not terminal:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
