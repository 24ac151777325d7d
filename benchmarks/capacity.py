"""`python -m benchmarks.capacity`: what 1,000, 100,000 and 10 million devices need, with the arithmetic.

Extrapolates from the processor time of one request: the measured one (benchmarks/results/serve.json), or `--cpu-ms`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from benchmarks.harness import RESULTS

FLEETS = ((1_000, 1.0), (100_000, 0.2), (10_000_000, 1 / 60))
"""Devices, and frames per second of each: a camera that watches, a phone in use, a fleet that looks once a minute."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What one request and one device cost. All but `cpu_ms` and the sizes are choices or assumptions, as they say."""

    cpu_ms: float
    """Processor time of the service for one request, its network included."""
    frame_bytes: int = 2_200
    """A frame of block7 at the default step, the request and HTTP/2 around it."""
    answer_bytes: int = 5_450
    """Both tasks of EfficientNet-Lite0; 5,120 of them are the embedding."""
    utilisation: float = 0.6
    """Share of a core that is planned for; the rest is for peaks and for a zone that fails."""
    replica_cores: int = 1
    """One worker of one thread."""
    replica_mib: int = 512
    """With one bundle of EfficientNet-Lite0, three cuts with transforms: 300 measured under load."""
    proxy_requests: int = 20_000
    """Assumption: requests a second of one proxy. Measure yours."""
    proxy_connections: int = 50_000
    """Assumption: connections of one proxy."""
    connection_kib: int = 64
    """Of one connection with its stream, where devices' connections end: our own server took 52 without TLS. Behind a
    proxy the servers see few connections, shared by all devices."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a fleet needs, and the lines that lead there."""

    row: dict[str, Any]
    lines: list[str] = field(default_factory=list)


def plan(devices: int, frames: float, costs: Costs) -> Plan:
    """Replicas, proxies, memory and bandwidth for `devices` that send `frames` a second each."""
    rate = devices * frames
    busy = rate * costs.cpu_ms / 1000
    cores = busy / costs.utilisation
    replicas = max(2, math.ceil(cores / costs.replica_cores)) + 1
    by_rate, by_connections = rate / costs.proxy_requests, devices / costs.proxy_connections
    proxies = max(1, math.ceil(max(by_rate, by_connections) / costs.utilisation)) + 1
    inward, outward = (8 * rate * size / 1e6 for size in (costs.frame_bytes, costs.answer_bytes))
    connections_gib = devices * costs.connection_kib / 2**20
    replicas_gib = replicas * costs.replica_mib / 1024
    return Plan(
        {
            "devices": f"{devices:,}",
            "frames/s each": f"{frames:.3g}",
            "requests/s": f"{rate:,.0f}",
            "cores": f"{cores:,.0f}" if cores >= 10 else f"{cores:.1f}",
            "replicas": f"{replicas:,}",
            "their memory, GiB": f"{replicas_gib:,.1f}",
            "proxies": f"{proxies:,}",
            "connections, GiB": f"{connections_gib:,.1f}",
            "in, Mbit/s": f"{inward:,.0f}",
            "out, Mbit/s": f"{outward:,.0f}",
        },
        [
            f"requests/s    {devices:,} devices x {frames:.3g} frames/s = {rate:,.0f}",
            f"cores         {rate:,.0f}/s x {costs.cpu_ms:g} ms = {busy:,.1f} busy, "
            f"/ {costs.utilisation:g} = {cores:,.1f}",
            f"replicas      {cores:,.1f} / {costs.replica_cores} core each, at least 2, and 1 to spare = {replicas:,}",
            f"memory        {replicas:,} x {costs.replica_mib} MiB = {replicas_gib:,.1f} GiB",
            f"proxies       the larger of {rate:,.0f} / {costs.proxy_requests:,} requests/s and {devices:,} / "
            f"{costs.proxy_connections:,} connections, / {costs.utilisation:g}, and 1 to spare = {proxies:,}",
            f"connections   {devices:,} x {costs.connection_kib} KiB = {connections_gib:,.1f} GiB over all proxies",
            f"in            {rate:,.0f}/s x {costs.frame_bytes:,} bytes x 8 = {inward:,.0f} Mbit/s",
            f"out           {rate:,.0f}/s x {costs.answer_bytes:,} bytes x 8 = {outward:,.0f} Mbit/s",
        ],
    )


def table(costs: Costs) -> str:
    """The capacity table as Markdown."""
    rows = [plan(devices, frames, costs).row for devices, frames in FLEETS]
    lines = [list(rows[0]), ["---:"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def measured_cpu_ms() -> float | None:
    """Milliseconds of a request in the published results: processor time, else a core's time at full load."""
    try:
        found = json.loads((RESULTS / "serve.json").read_text(encoding="utf-8"))
    except OSError:
        return None
    times = [row["server_cpu_ms"] for row in found["rows"] if "server_cpu_ms" in row]
    rate = found["figures"].get("serve.requests_per_s")
    return median(times) if times else 1000 / rate if rate else None


def main() -> None:
    """Print the table and how each number came about."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity")
    parser.add_argument("--cpu-ms", type=float, help="processor time of one request (default: as measured)")
    given = parser.parse_args().cpu_ms
    cpu_ms = measured_cpu_ms() if given is None else given
    if cpu_ms is None or cpu_ms <= 0:
        sys.exit("benchmarks.capacity: nothing measured; run python -m benchmarks.serve, or give --cpu-ms")
    costs = Costs(round(cpu_ms, 2))
    print(table(costs))
    for devices, frames in FLEETS:
        print("", f"{devices:,} devices:", *plan(devices, frames, costs).lines, sep="\n")


if __name__ == "__main__":
    main()
