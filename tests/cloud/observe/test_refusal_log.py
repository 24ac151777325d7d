"""Lines in the log: what they say, and that overload makes no flood."""

from __future__ import annotations

from collections.abc import Callable

from structlog.testing import capture_logs

import featcodec
from splitnet.cloud.access.caller import Caller
from splitnet.cloud.observe.refusals import LINES, RefusalLog
from splitnet.errors import CancelledError, InvalidRequestError, OverloadedError
from tests.cloud.observe.jobs import CALLER, Clock, job, request


def _made(clock: Clock) -> tuple[RefusalLog, list[Callable[[], None]]]:
    later: list[Callable[[], None]] = []
    return RefusalLog(clock, lambda _, call: later.append(call)), later


def test_a_line_says_who_and_what_but_not_the_payload() -> None:
    watched, _ = _made(Clock())
    with capture_logs() as lines:
        watched.refused(
            OverloadedError("the line is full", reason="queue"), CALLER, request(size=3, request_id=bytes(16))
        )
        watched.failed(job(), InvalidRequestError("malformed frame"))
        watched.failed(job(), CancelledError("given up"))
    assert lines[0] == {
        "event": "request refused",
        "log_level": "warning",
        "code": "RESOURCE_EXHAUSTED",
        "reason": "queue",
        "client": "camera-7",
        "model": "lite0",
        "cut": "block7",
        "frame_bytes": 3,
        "request_id": "00" * 16,
        "message": "the line is full",
    }
    assert [line["event"] for line in lines] == ["request refused", "request failed"]


def test_bytes_of_a_frame_are_not_quoted() -> None:
    watched, _ = _made(Clock())
    error = InvalidRequestError("malformed frame: it begins with 72 75 62 62")
    error.__cause__ = featcodec.FeatcodecError("it begins with 72 75 62 62")
    with capture_logs() as lines:
        watched.failed(job(), error)
    assert lines[0]["message"] == "malformed frame"


def test_names_cannot_forge_lines() -> None:
    watched, _ = _made(Clock())
    with capture_logs() as lines:
        watched.refused(InvalidRequestError("x\ny"), Caller("a\nb", "a"), request(model="m\x1b[2J" + "x" * 500))
    assert all(str(value).isprintable() and len(str(value)) <= 300 for value in lines[0].values())


def test_overload_makes_a_few_lines_and_a_sum() -> None:
    clock = Clock()
    watched, later = _made(clock)
    with capture_logs() as lines:
        for _ in range(1000):
            watched.refused(OverloadedError("full", reason="queue"), CALLER, request())
        assert len(lines) == LINES
        assert len(later) == 1
        later[0]()
    assert lines[-1]["requests"] == 1000 - LINES
    assert lines[-1]["reasons"] == {"RESOURCE_EXHAUSTED/queue": 1000 - LINES}
    clock.now += 1
    with capture_logs() as lines:
        for _ in range(10):
            watched.refused(OverloadedError("full", reason="queue"), CALLER, request())
        assert len(lines) == 2
        assert len(later) == 2
        watched.flush()
        watched.flush()
    assert len(lines) == 3
