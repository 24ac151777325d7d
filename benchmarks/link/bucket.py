"""The kernel's own shaper on the same device, to compare with: tc's token bucket filter (tbf)."""

from __future__ import annotations

import subprocess

from benchmarks.link.link import DEVICE, Link, Side
from benchmarks.link.settings import LEAST_QUEUE, MTU
from splitnet.errors import UsageError


def put_bucket(link: Link, side: Side, rate: float) -> None:
    """Shape what one side sends to `rate` bit/s, with the smallest bucket that lets a whole packet through.

    Raises UsageError where tc is missing or refuses.
    """
    # A bucket must hold what comes in between two looks at the clock, too: 1 ms.
    burst = max(MTU, int(rate / 8 * 0.001))
    shape = ("rate", f"{rate:.0f}bit", "burst", f"{burst}b", "limit", f"{max(LEAST_QUEUE, int(rate / 8 * 0.2))}b")
    command = ["tc", "-n", link.end(side).namespace, "qdisc", "replace", "dev", DEVICE, "root", "tbf", *shape]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise UsageError(f"tc: {error.strerror}: apt-get install -y iproute2") from error
    if done.returncode:
        raise UsageError(f"tc: {done.stderr.strip()}")
