"""Ages that a jump of the clock does not change."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@cache
def boot() -> str:
    """Which start of the machine this is; empty where the system does not tell."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


@dataclass(frozen=True, slots=True)
class Moment:
    """When something was stored: by the clock, and in seconds since the machine started, sleep included."""

    clock: float
    uptime: float
    boot: str

    @classmethod
    def now(cls) -> Moment:
        return cls(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME), boot())

    def age(self, now: Moment) -> float:
        """Seconds from here to `now`; since the machine was started again only the clock can tell."""
        if self.boot and self.boot == now.boot:
            return now.uptime - self.uptime
        return max(0.0, now.clock - self.clock)
