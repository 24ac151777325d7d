"""A line in the log for every request without a result, as long as these are few; then a line for many."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import structlog

from splitnet.cloud.observe.observer import Observer, message, reason
from splitnet.errors import CancelledError
from splitnet.observe.text import shown

if TYPE_CHECKING:
    from splitnet.cloud.access.caller import Caller
    from splitnet.cloud.batching import Job
    from splitnet.errors import ServiceError
    from splitnet.wire.exchange import InferenceRequest

LINES = 10
"""Lines in a row at most."""
LINES_A_SECOND = 2.0
SUMMARY_SECONDS = 5.0
"""What got no line of its own is summed up so often."""

log = structlog.get_logger("splitnet.requests")


def _later(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


class RefusalLog(Observer):
    """Logs requests that were refused or failed: never a payload, never a token, and no flood under overload.

    `clock` is in seconds and never goes back; `later` calls a function after some seconds, on any thread.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        later: Callable[[float, Callable[[], None]], None] = _later,
    ) -> None:
        self._clock, self._later = clock, later
        self._lock = threading.Lock()
        self._lines, self._filled = float(LINES), clock()
        self._unsaid: Counter[tuple[str, str]] = Counter()

    def failed(self, job: Job, error: ServiceError) -> None:
        # Who cancels knows; a device that streams cancels whatever it no longer needs.
        if not isinstance(error, CancelledError):
            self._say("request failed", error, job.caller, job.request)

    def refused(self, error: ServiceError, caller: Caller, request: InferenceRequest | None = None) -> None:
        self._say("request refused", error, caller, request)

    def flush(self) -> None:
        """Sum up what got no line."""
        with self._lock:
            unsaid, self._unsaid = self._unsaid, Counter()
        if unsaid:
            counts = {f"{code}/{why}": number for (code, why), number in unsaid.most_common()}
            log.warning("more requests without a result", requests=unsaid.total(), reasons=counts)

    def _say(self, event: str, error: ServiceError, caller: Caller, request: InferenceRequest | None) -> None:
        if not self._may():
            self._count(error)
            return
        fields: dict[str, Any] = {"code": error.code, "reason": reason(error), "client": shown(caller.identity)}
        if request is not None:
            fields |= {"model": shown(request.model), "cut": shown(request.cut), "frame_bytes": len(request.frame)}
            if request.request_id:
                fields["request_id"] = request.request_id.hex()
        log.warning(event, **fields, message=message(error))

    def _may(self) -> bool:
        with self._lock:
            now = self._clock()
            self._lines = min(float(LINES), self._lines + (now - self._filled) * LINES_A_SECOND)
            self._filled = now
            if self._lines < 1:
                return False
            self._lines -= 1
            return True

    def _count(self, error: ServiceError) -> None:
        with self._lock:
            first = not self._unsaid
            self._unsaid[error.code, reason(error)] += 1
        if first:
            self._later(SUMMARY_SECONDS, self.flush)
