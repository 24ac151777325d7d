"""Closed and open loops.

A closed loop sends the next request when the last one is answered: what the service can do. An open loop sends at
times that do not depend on answers, as devices with cameras do; latencies count from these times, which leaves out no
waiting (coordinated omission: G. Tene, *How NOT to Measure Latency*, 2013).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.serve.devices import Device, Record
from benchmarks.serve.requests import Requests
from splitnet.wire.credentials import NO_CREDENTIALS, Credentials

DRAIN_SECONDS = 10.0
Arrivals = Literal["poisson", "constant"]


@dataclass(frozen=True, slots=True)
class Run:
    """A record with when it began and ended (readings of `time.perf_counter`), its warm-up left out."""

    record: Record
    started: float
    ended: float

    @property
    def rate(self) -> float:
        """Answers with a result a second, between start and end."""
        inside = sum(self.started <= moment < self.ended for moment in self.record.finished)
        return inside / (self.ended - self.started)

    def latencies(self) -> list[float]:
        """Seconds, of the answers between start and end."""
        pairs = zip(self.record.finished, self.record.latencies, strict=True)
        return [latency for moment, latency in pairs if self.started <= moment < self.ended]


async def closed_loop(
    address: str,
    requests: Requests,
    devices: int,
    seconds: float,
    *,
    in_flight: int = 1,
    warm_up: float = 1.0,
    stop: asyncio.Event | None = None,
) -> Run:
    """`devices` streams, each with `in_flight` requests at a time, for `seconds` after the warm-up or until `stop`."""
    record = Record()
    streams = [Device(address, record) for _ in range(devices)]
    until = time.perf_counter() + warm_up + seconds

    async def keep_sending(device: Device) -> None:
        while (now := time.perf_counter()) < until and not (stop and stop.is_set()):
            await device.send(requests.draw(), now)

    senders = [keep_sending(device) for device in streams for _ in range(in_flight)]
    try:
        async with asyncio.timeout(warm_up + seconds + DRAIN_SECONDS):
            await asyncio.gather(*senders)
    finally:
        await asyncio.gather(*(device.close() for device in streams))
    return Run(record, until - seconds, until)


async def open_loop(
    address: str,
    requests: Requests,
    devices: int,
    seconds: float,
    rate: float,
    *,
    arrivals: Arrivals = "poisson",
    timeout: float = 0.0,
    warm_up: float = 1.0,
    seed: int = 0,
    credentials: Sequence[Credentials] = (NO_CREDENTIALS,),
) -> Run:
    """`rate` requests a second over `devices` streams in turn; each is given up `timeout` seconds after it was due.

    Devices take the `credentials` in turn.
    """
    record = Record()
    streams = [Device(address, record, credentials[number % len(credentials)]) for number in range(devices)]
    started = time.perf_counter() + 0.05
    waiting: set[asyncio.Future[None]] = set()
    try:
        for number, moment in enumerate(_moments(rate, warm_up + seconds, arrivals, seed)):
            due = started + moment
            if (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            elif number % 64 == 0:
                await asyncio.sleep(0)
            answer = streams[number % devices].send(requests.draw(), due, timeout)
            waiting.add(answer)
            answer.add_done_callback(waiting.discard)
        if waiting:
            await asyncio.wait(waiting, timeout=max(timeout, DRAIN_SECONDS))
    finally:
        await asyncio.gather(*(device.close() for device in streams))
    return Run(record, started + warm_up, started + warm_up + seconds)


def _moments(rate: float, seconds: float, arrivals: Arrivals, seed: int) -> Iterator[float]:
    generator = random.Random(seed)
    moment = 0.0
    while True:
        moment += generator.expovariate(rate) if arrivals == "poisson" else 1 / rate
        if moment >= seconds:
            return
        yield moment
