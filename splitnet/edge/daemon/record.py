"""What a sink gets: the answer for one input, or why there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Status = Literal["cloud", "local", "skipped", "failed", "expired"]
"""`cloud`: answered by a server; `local`: by the whole network on the device; `skipped`: the scene did not change and
the last answer is repeated; `failed`: the input or its frame cannot be used; `expired`: it waited in the spool for too
long."""


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a sink; times are Unix seconds, `latency` seconds from capture to answer.

    `results` are task -> JSON types. `cut` and `codec` are empty where nothing was sent, `codec` of an image file is
    the image's. `error` is one line, empty where there are results. `spooled` says that it waited in the spool.
    """

    id: str
    source: str
    name: str
    captured: float
    answered: float
    latency: float
    status: Status
    model: str = ""
    cut: str = ""
    codec: str = ""
    frame_bytes: int = 0
    spooled: bool = False
    results: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """JSON types; what is empty is left out."""
        values: dict[str, Any] = {
            "id": self.id,
            "source": self.source,
            "name": self.name,
            "captured": round(self.captured, 6),
            "answered": round(self.answered, 6),
            "latency": round(self.latency, 6),
            "status": self.status,
        }
        for key in ("model", "cut", "codec", "frame_bytes", "spooled", "error"):
            if getattr(self, key):
                values[key] = getattr(self, key)
        if self.results:
            values["results"] = dict(self.results)
        return values

    def line(self) -> str:
        """One line of JSON, without the newline."""
        return json.dumps(self.as_dict(), separators=(",", ":"), ensure_ascii=False)
