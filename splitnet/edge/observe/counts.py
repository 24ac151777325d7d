"""What is counted of one source and of one sink, since the daemon started."""

from __future__ import annotations

from typing import get_args

from splitnet.edge.daemon.record import Status
from splitnet.edge.observe.state import Failure, SourceState
from splitnet.observe.histogram import Histogram

STATUSES: tuple[Status, ...] = get_args(Status)
SECONDS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0)


class SourceCounts:
    """`latency` is in seconds; `queue` is how many inputs wait now; `gone`: no longer in the configuration."""

    __slots__ = (
        "captured",
        "compared_bytes",
        "dropped",
        "error",
        "errors",
        "frame_bytes",
        "gone",
        "jpeg_bytes",
        "latency",
        "queue",
        "recorded",
        "spooled",
        "state",
    )

    def __init__(self) -> None:
        self.state: SourceState = "starting"
        self.gone = False
        self.captured = self.spooled = self.errors = self.queue = 0
        self.recorded: dict[Status, int] = dict.fromkeys(STATUSES, 0)
        self.dropped: dict[str, int] = {}
        self.frame_bytes = self.compared_bytes = self.jpeg_bytes = 0
        self.latency = Histogram(SECONDS)
        self.error: Failure | None = None


class SinkCounts:
    """`written` counts records, `waiting` those that are not written yet; `failing` since the last write failed."""

    __slots__ = ("error", "errors", "failing", "gone", "waiting", "written")

    def __init__(self) -> None:
        self.written = self.errors = self.waiting = 0
        self.failing = self.gone = False
        self.error: Failure | None = None
