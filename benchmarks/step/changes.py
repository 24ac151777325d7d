"""Changes of plan, out of a daemon's log, and what they say about steps of the bandwidth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Change:
    """From one way to another, seconds after the start, and the daemon's reason."""

    second: float
    old: str
    new: str
    reason: str


@dataclass(frozen=True, slots=True)
class Reaction:
    """What followed a step: seconds to the first new plan and to the last one, and the plan that stayed.

    Without any change, both are the seconds until the next step: at least so long.
    """

    first: float
    last: float
    stayed: str


def read_changes(log: Path, start: float) -> list[Change]:
    """Changes of plan in a daemon's log of JSON lines; `start` is the Unix time of second 0."""
    found = []
    for line in log.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if entry.get("event") == "plan" and "new" in entry:
            second = datetime.fromisoformat(entry["timestamp"]).timestamp() - start
            found.append(Change(second, entry["old"], entry["new"], entry["reason"]))
    return found


def reaction(changes: Sequence[Change], step: float, until: float) -> Reaction:
    """What followed a step at second `step`, of the changes before `until`."""
    mine = [one for one in changes if step <= one.second < until]
    before = [one.new for one in changes if one.second < step]
    if not mine:
        return Reaction(until - step, until - step, before[-1] if before else "")
    return Reaction(mine[0].second - step, mine[-1].second - step, mine[-1].new)


def in_a_minute(changes: Sequence[Change], begin: float, end: float) -> float:
    """Changes between two seconds, for each minute."""
    return 60 * sum(begin <= one.second < end for one in changes) / (end - begin)
