"""`/status.json`: what the status page shows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splitnet._version import __version__
from splitnet.cloud.observe.tally import Tally
from splitnet.cloud.observe.timeline import SLOT_SECONDS
from splitnet.cloud.service import InferenceService
from splitnet.observe.text import shown

if TYPE_CHECKING:
    from splitnet.cloud.repository.state import Version

BUSIEST = 20
"""Clients shown."""
RECENT_SECONDS = 10.0
"""What the page calls now."""


def status(service: InferenceService, tally: Tally, ready: bool, versions: Sequence[Version] = ()) -> dict[str, Any]:
    """Everything the page shows, as JSON has it. Times in seconds, sizes in bytes, rates a second.

    `versions` is what the repository knows, where there is one: also what is not served, and why.
    """
    with tally.lock:
        now = tally.clock()
        codes = [series.codes for series in tally.series.values()]
        answered = sum(one.get("OK", 0) for one in codes)
        return {
            "service": _service(service, tally, ready, now),
            "models": _models(service, tally, versions),
            "now": tally.timeline.recent(now, RECENT_SECONDS),
            "totals": {
                "answered": answered,
                "failed": sum(tally.rejections.values()),
                "bytes_in": sum(series.bytes_in for series in tally.series.values()),
                "bytes_out": tally.bytes_out,
            },
            "clients": [
                {
                    "name": shown(name, 40),
                    "requests": one.requests,
                    "failed": one.failed,
                    "bytes_in": one.bytes_in,
                    "seen_seconds": now - one.seen,
                }
                for name, one in tally.clients.busiest(BUSIEST)
            ],
            "clients_known": len(tally.clients),
            "errors": [
                {
                    "code": one.code,
                    "reason": one.reason,
                    "message": one.message,
                    "model": one.model,
                    "cut": one.cut,
                    "client": one.client,
                    "times": one.times,
                    "seen_seconds": now - one.seen,
                }
                for one in reversed(tally.failures)
            ],
            "history": {"slot_seconds": SLOT_SECONDS, "columns": tally.timeline.columns(now)},
        }


def _service(service: InferenceService, tally: Tally, ready: bool, now: float) -> dict[str, Any]:
    return {
        "version": __version__,
        "ready": ready,
        "uptime_seconds": now - tally.started,
        "in_flight": service.in_flight,
        "waiting": service.waiting,
        "streams": tally.streams,
        "resident_bytes": resident_bytes(),
        "workers": service.batching.workers,
        "queue": service.batching.queue,
        "max_batch": service.batching.max_batch,
        "repeated": service.repeated,
    }


def _models(service: InferenceService, tally: Tally, versions: Sequence[Version]) -> list[dict[str, Any]]:
    errors = {(one.name, one.version): shown(one.error, 300) for one in versions}
    found: list[dict[str, Any]] = []
    for model in service.served.all():
        manifest = model.bundle.manifest
        codes = [series.codes for key, series in tally.series.items() if key[:2] == (manifest.name, manifest.version)]
        found.append(
            {
                "name": manifest.name,
                "version": manifest.version,
                "fingerprint": model.bundle.fingerprint,
                "default": service.served.default(manifest.name) == manifest.version,
                "state": "serving",
                "error": errors.pop((manifest.name, manifest.version), ""),
                "cuts": list(model.cuts),
                "tasks": list(model.heads),
                "answered": sum(one.get("OK", 0) for one in codes),
                "failed": sum(number for one in codes for code, number in one.items() if code != "OK"),
            }
        )
    waiting = [one for one in versions if (one.name, one.version) in errors]
    return found + [
        {
            "name": shown(one.name),
            "version": shown(one.version),
            "fingerprint": one.fingerprint,
            "default": one.default,
            "state": str(one.state),
            "error": errors[one.name, one.version],
            "cuts": [],
            "tasks": [],
            "answered": 0,
            "failed": 0,
        }
        for one in waiting
    ]


@cache
def _page_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE")


def resident_bytes() -> int | None:
    """Memory of this process that is in RAM; None where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _page_bytes()
    except OSError:
        return None
