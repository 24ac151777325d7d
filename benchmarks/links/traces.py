"""Links as they change, second by second: made by a documented model, always the same for a seed.

Rates are log-normal around a median and follow themselves (an autoregressive process of the first order in log rate),
as measured rates of mobile links do over seconds; episodes come at random with given mean gaps and lengths.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from math import exp, sqrt

from benchmarks.link import LinkSettings

NAMES = ("4g", "wifi", "satellite", "outage")


@dataclass(frozen=True, slots=True)
class Model:
    """How a link behaves.

    Attributes
    ----------
    rate
        Median uplink, bits a second.
    spread
        Standard deviation of its logarithm.
    memory
        Correlation from one second to the next.
    delay, jitter
        One way, seconds.
    loss
        Share of packets, each direction.
    gap, length
        Mean seconds between two episodes and of one; 0: none.
    episode
        What the link is during one, made of what it is otherwise.
    """

    rate: float
    spread: float
    memory: float
    delay: float
    jitter: float = 0.0
    loss: float = 0.0
    gap: float = 0.0
    length: float = 0.0
    episode: Callable[[LinkSettings], LinkSettings] = lambda settings: settings


def _slower(factor: float, more_delay: float = 0.0, loss: float = 0.0) -> Callable[[LinkSettings], LinkSettings]:
    def change(one: LinkSettings) -> LinkSettings:
        rate = (one.rate_up or 0.0) / factor
        return LinkSettings(
            rate_up=rate, rate_down=rate, delay=one.delay + more_delay, jitter=one.jitter, loss=loss or one.loss
        )

    return change


MODELS = {
    # On the move: rates swing widely, a handover every half minute takes them down to a fiftieth for two seconds.
    "4g": Model(8e6, 0.8, 0.8, 0.025, 0.005, 0.0, 30.0, 2.0, _slower(50.0, 0.05)),
    # Congested Wi-Fi: fast, with episodes in which others take nearly all of it and packets are lost.
    "wifi": Model(20e6, 0.4, 0.6, 0.003, 0.002, 0.002, 15.0, 6.0, _slower(60.0, 0.02, 0.02)),
    # Geostationary: 600 ms round trip whatever is sent; rain takes the rate down to a fifth for a while.
    "satellite": Model(2e6, 0.2, 0.9, 0.3, 0.0, 0.001, 40.0, 15.0, _slower(5.0)),
    # Good, but gone now and then for ten seconds.
    "outage": Model(10e6, 0.3, 0.8, 0.01, 0.0, 0.0, 30.0, 10.0, lambda _: LinkSettings(outage=True)),
}


def make_trace(name: str, seconds: int, seed: int = 0) -> list[tuple[float, LinkSettings]]:
    """Settings, each with the second from which they hold, for `Link.replay`."""
    model, draw = MODELS[name], random.Random(f"{name} {seed}")
    trace, log, left = [], draw.gauss(0.0, model.spread), 0.0
    for second in range(seconds):
        step = model.spread * sqrt(1 - model.memory**2)
        log = model.memory * log + draw.gauss(0.0, step)
        rate = model.rate * exp(log)
        settings = LinkSettings(rate_up=rate, rate_down=rate, delay=model.delay, jitter=model.jitter, loss=model.loss)
        if left <= 0 and model.gap and draw.random() < 1 / model.gap:
            left = max(1.0, draw.expovariate(1 / model.length))
        if left > 0:
            settings = model.episode(settings)
            left -= 1
        trace.append((float(second), settings))
    return trace
