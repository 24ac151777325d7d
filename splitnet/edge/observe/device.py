"""How the machine is, where the system tells."""

from __future__ import annotations

import os
from pathlib import Path

from splitnet.edge.observe.state import DeviceState

_ZONES = Path("/sys/class/thermal")


def device_state(zones: Path = _ZONES) -> DeviceState:
    """The hottest sensor, and the load of the last minute per processor."""
    try:
        load: float | None = os.getloadavg()[0] / (os.cpu_count() or 1)
    except OSError:
        load = None
    found = []
    for zone in zones.glob("thermal_zone*/temp"):
        try:
            found.append(int(zone.read_text(encoding="ascii")) / 1000)
        except (OSError, ValueError):
            # A sensor that is asleep; others may tell.
            continue
    return DeviceState(max(found, default=None), load)
