"""`/status.json` and `splitnet edge status`: what the page shows."""

from __future__ import annotations

from typing import Any

from splitnet._version import __version__
from splitnet.edge.observe.counts import STATUSES, SinkCounts, SourceCounts
from splitnet.edge.observe.state import Failure, ModelState, ServerState
from splitnet.edge.observe.tally import EdgeTally
from splitnet.observe.histogram import percentile

RECENT_SECONDS = 10
"""What the page calls now."""


def status(tally: EdgeTally, ready: bool | None = None, after: int | None = None) -> dict[str, Any]:
    """Everything the page shows, as JSON has it: times in seconds, sizes in bytes, rates a second, None: not known.

    `ready` is for the answer alone. `after` leaves out the slots of the history up to that one, for who has them.
    """
    with tally.lock:
        now = tally.clock()
        first, columns = tally.timeline.columns(now, after)
        return {
            "daemon": {
                "version": __version__,
                "ready": ready,
                "uptime_seconds": now - tally.started,
                "in_flight": tally.in_flight,
                "temperature_celsius": tally.device.temperature,
                "load": tally.device.load,
            },
            "now": tally.timeline.recent(now, RECENT_SECONDS),
            "totals": _totals(tally),
            "sources": [_source(name, row, now) for name, row in tally.sources.items() if not row.gone],
            "sinks": [_sink(name, row, now) for name, row in tally.sinks.items() if not row.gone],
            "models": [_model(name, row, now) for name, row in tally.models.items()],
            "servers": [_server(address, row, now) for address, row in tally.servers.items()],
            "spool": _spool(tally),
            "changes": [
                {
                    "at": change.at,
                    "seen_seconds": now - change.seen,
                    "model": change.model,
                    "from": change.old,
                    "to": change.new,
                    "reason": change.reason,
                }
                for change in reversed(tally.changes)
            ],
            "errors": [
                {"kind": one.kind, "name": one.name, "times": one.times, **_error(one, now)}
                for one in reversed(tally.failures.values())
            ],
            "history": {"first": first, "slot_seconds": 1, "columns": columns},
        }


def saved(jpeg_bytes: int, compared_bytes: int) -> float | None:
    """The share of bytes that sending features saves against JPEG; below 0 where JPEG would be smaller."""
    return 1 - compared_bytes / jpeg_bytes if jpeg_bytes else None


def _totals(tally: EdgeTally) -> dict[str, Any]:
    rows = tally.sources.values()
    jpeg, compared = sum(row.jpeg_bytes for row in rows), sum(row.compared_bytes for row in rows)
    return {
        "captured": sum(row.captured for row in rows),
        "recorded": {name: sum(row.recorded[name] for row in rows) for name in STATUSES},
        "spooled": sum(row.spooled for row in rows),
        "dropped": sum(sum(row.dropped.values()) for row in rows),
        "queue": sum(row.queue for row in rows),
        "frame_bytes": sum(row.frame_bytes for row in rows),
        "compared_bytes": compared,
        "jpeg_bytes": jpeg,
        "saved": saved(jpeg, compared),
    }


def _source(name: str, row: SourceCounts, now: float) -> dict[str, Any]:
    return {
        "name": name,
        "state": row.state,
        "captured": row.captured,
        "recorded": dict(row.recorded),
        "spooled": row.spooled,
        "dropped": dict(row.dropped),
        "queue": row.queue,
        "latency": {
            "count": row.latency.count,
            "p50": percentile(row.latency, 0.5),
            "p90": percentile(row.latency, 0.9),
            "p99": percentile(row.latency, 0.99),
        },
        "frame_bytes": row.frame_bytes,
        "compared_bytes": row.compared_bytes,
        "jpeg_bytes": row.jpeg_bytes,
        "saved": saved(row.jpeg_bytes, row.compared_bytes),
        "errors": row.errors,
        "last_error": _error(row.error, now),
    }


def _sink(name: str, row: SinkCounts, now: float) -> dict[str, Any]:
    return {
        "name": name,
        "failing": row.failing,
        "written": row.written,
        "waiting": row.waiting,
        "errors": row.errors,
        "last_error": _error(row.error, now),
    }


def _model(name: str, row: ModelState, now: float) -> dict[str, Any]:
    return {
        "name": name,
        "mode": row.mode,
        "cut": row.cut,
        "codec": row.codec,
        "reason": row.reason,
        "since_seconds": None if row.mode is None else now - row.since,
        "changes": row.changes,
        "runs": row.modes.runs(),
    }


def _server(address: str, row: ServerState, now: float) -> dict[str, Any]:
    link = row.link
    return {
        "address": address,
        "state": None if link is None else link.state,
        "since_seconds": None if link is None else now - row.since,
        "bandwidth": None if link is None else link.bandwidth,
        "rtt": None if link is None else link.rtt,
        "queue": None if link is None else link.queue,
        "last_error": _error(row.error, now),
    }


def _spool(tally: EdgeTally) -> dict[str, Any]:
    spool = tally.spool
    # The oldest may be from before the clock was set.
    age = None if spool.oldest is None else max(0.0, tally.wall() - spool.oldest)
    return {"entries": spool.entries, "bytes": spool.bytes, "oldest_seconds": age}


def _error(failure: Failure | None, now: float) -> Any:
    return None if failure is None else {"text": failure.text, "seen_seconds": now - failure.seen}
