"""Delays that the grid does not show: jitter, load, and single frames, through our line and the kernel's bucket."""

from __future__ import annotations

import math
import time
from statistics import pstdev, quantiles

from benchmarks.link.bucket import put_bucket
from benchmarks.link.link import Link
from benchmarks.link.probes import train
from benchmarks.link.settings import LinkSettings

FRAME = 2200
"""Bytes of a typical frame of features, headers included."""

SLOW = 0.1e6


def jitter_error(count: int) -> tuple[float, float]:
    """Asked for 40 ms +- 10 ms: relative error of the standard deviation, and seconds that the mean is off."""
    delay, jitter = 0.040, 0.010
    # Datagrams so far apart that none can overtake another: then keeping the order changes no delay.
    with Link(LinkSettings(delay=delay, jitter=jitter)) as link:
        delays = train(link, "client", 100, count, 2 * jitter + 0.001).delays
    return abs(pstdev(delays) / (jitter / math.sqrt(3)) - 1), abs(sum(delays) / len(delays) - delay)


def loaded_delays(seconds: float, rate: float, packets: float) -> tuple[float, float, float]:
    """5 ms at `packets` a second of `rate` bit/s: relative error of the delay, median and 99th; bit/s that came."""
    delay, size = 0.005, int(rate / 8 / packets)
    with Link(LinkSettings(delay=delay)) as link:
        seen = train(link, "client", size, int(seconds * packets), 1 / packets)
    errors = quantiles((abs(each / delay - 1) for each in seen.delays), n=100)
    return errors[49], errors[98], seen.rate


def frame_errors(repeats: int, *, bucket: bool) -> float:
    """A frame in two packets over an idle link of 0.1 Mbit/s, ours or tbf's: relative error of its time, on average."""
    found = []
    with Link(LinkSettings(rate_up=None if bucket else SLOW)) as link:
        if bucket:
            put_bucket(link, "client", SLOW)
        for _ in range(repeats):
            # As long as a bucket takes to fill.
            time.sleep(0.15)
            found.append(max(train(link, "client", FRAME // 2, 2, 0.0).delays))
    return abs(sum(found) / len(found) / (FRAME * 8 / SLOW) - 1)
