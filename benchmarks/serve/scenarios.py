"""What the issue's figures are measured on: throughput, added latency, overload, requests nobody waits for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import grpc
import numpy as np

from benchmarks.serve.devices import Device, Record
from benchmarks.serve.load import Run, open_loop
from benchmarks.serve.processes import Served
from benchmarks.serve.requests import Requests
from splitnet.errors import UnavailableError
from splitnet.v1 import inference_pb2 as pb
from splitnet.v1 import inference_pb2_grpc as pb_grpc
from splitnet.wire.channels import client_options

DEVICES = 32
TIMEOUT = 1.0
OVERLOAD = 3.0
_PROBE_SECONDS = 0.02


def quantile(values: Sequence[float], share: float) -> float:
    """NaN where there are none."""
    return float(np.quantile(values, share)) if values else float("nan")


async def added_latency(address: str, requests: Requests, seconds: float) -> list[float]:
    """Seconds from sending to the answer less the network's own run, one request in flight.

    One coroutine writes and reads: what a load generator needs for many devices would count as the service's.
    """
    added: list[float] = []
    async with grpc.aio.insecure_channel(address, options=[*client_options()]) as channel:
        call: Any = pb_grpc.InferenceServiceStub(channel).InferStream()
        until = time.perf_counter() + seconds
        while (number := len(added)) == 0 or time.perf_counter() < until:
            request = requests.draw()
            sent = time.perf_counter()
            await call.write(pb.InferStreamRequest(id=number, request=request))
            reply = await call.read()
            took = time.perf_counter() - sent
            if not reply.HasField("response"):
                raise UnavailableError(f"a single request was refused: {reply.error.message}")
            added.append(took - reply.response.timing.graph - reply.response.timing.heads)
        await call.done_writing()
        await call.read()
    return added[len(added) // 10 :]


@dataclass(slots=True)
class Overload:
    """What happened under several times the capacity; `memory` and `moments` are samples over the run."""

    run: Run
    offered: float
    goodput: float
    recovery: float
    moments: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    @property
    def memory_growth(self) -> float:
        """Largest of the last third over the largest of the first third, less one."""
        third = max(1, len(self.memory) // 3)
        return max(self.memory[-third:]) / max(self.memory[:third]) - 1


async def overload(served: Served, requests: Requests, peak: float, baseline: float, seconds: float) -> Overload:
    """Open loop at `OVERLOAD` times `peak`, then how long a single request takes to be as fast as `baseline` again."""
    moments: list[float] = []
    memory: list[float] = []

    async def watch() -> None:
        while True:
            moments.append(time.perf_counter())
            memory.append(served.resident_bytes)
            await asyncio.sleep(0.5)

    watcher = asyncio.create_task(watch())
    try:
        run = await open_loop(served.address, requests, DEVICES, seconds, OVERLOAD * peak, timeout=TIMEOUT, warm_up=3.0)
    finally:
        watcher.cancel()
    recovery = await _recovery(served.address, requests, baseline)
    in_time = sum(
        run.started <= moment < run.ended and latency <= TIMEOUT
        for moment, latency in zip(run.record.finished, run.record.latencies, strict=True)
    )
    return Overload(run, OVERLOAD * peak, in_time / seconds, recovery, moments, memory)


async def _recovery(address: str, requests: Requests, baseline: float) -> float:
    """Seconds until three answers in a row take less than twice the baseline (median latency without load)."""
    record = Record()
    device = Device(address, record)
    started, fast = time.perf_counter(), 0
    try:
        while fast < 3 and time.perf_counter() - started < 30:
            before = len(record.latencies)
            await device.send(requests.draw(), time.perf_counter(), 10.0)
            fast = fast + 1 if len(record.latencies) > before and record.latencies[-1] < 2 * baseline else 0
            if fast == 1:
                reached = time.perf_counter() - started
            await asyncio.sleep(_PROBE_SECONDS)
    finally:
        await device.close()
    return reached if fast >= 3 else float("inf")


def stable(run: Run, offered: float) -> bool:
    """Whether the service keeps up: it answers 99 % of what is offered, and latencies of the second half are not twice
    those of the first.
    """
    latencies = run.latencies()
    if run.rate < 0.99 * offered or len(latencies) < 20:
        return False
    half = len(latencies) // 2
    return median(latencies[half:]) < 2 * median(latencies[:half])
