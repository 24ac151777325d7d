"""The figures of the service: beside the bare network in turns, one request in flight, by load, and overloaded."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from statistics import median
from typing import Any

from rich.progress import Progress

from benchmarks.harness import Measured
from benchmarks.serve import plots
from benchmarks.serve.load import closed_loop, open_loop
from benchmarks.serve.processes import Bare, Cores, echo, server
from benchmarks.serve.requests import Requests, parse_mix
from benchmarks.serve.scenarios import DEVICES, added_latency, overload, quantile, stable
from splitnet.demo.main import demo_bundle

OUT = Path("out/serve")
CUT = "block7"
BATCHES = (1, 2, 4, 8, 16)
LOADS = (0.2, 0.4, 0.6, 0.8, 0.9, 1.0, 1.1)


def measure(short: bool) -> Measured:
    """Figures, and the rows behind them; also a picture. Raises SplitnetError."""
    cores, bundle = Cores.pick(), demo_bundle(Path("out/demo/bundle"))
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cores.load})
    try:
        return _measure(short, cores, bundle.path, Requests(bundle, parse_mix(CUT)))
    finally:
        os.sched_setaffinity(0, usable)


def _measure(short: bool, cores: Cores, bundle: Path, requests: Requests) -> Measured:
    rounds = 5 if short else 30
    rows: list[dict[str, Any]] = []
    with (
        asyncio.Runner() as loop,
        Bare(bundle, cores.server, CUT) as bare,
        server(bundle, cores.server, OUT / "server.log") as served,
        echo(bundle, cores.server, CUT) as peer,
        Progress(transient=True) as bar,
    ):
        loop.run(closed_loop(served.address, requests, DEVICES, 1.0))
        alone = {size: median(bare.rate(size, 0.3) for _ in range(3)) for size in BATCHES}
        best = max(alone, key=lambda size: alone[size])
        rows.append({"bare_per_s": alone, "best_batch": best})
        added: list[float] = []
        by_grpc: list[float] = []
        for number in bar.track(range(rounds), description="throughput and latency"):
            # In turns of a second, and the bare network before and after: whatever else the machine does meets both.
            before = bare.rate(best, 0.5)
            cpu = served.cpu_seconds
            run = loop.run(closed_loop(served.address, requests, DEVICES, 1.0, warm_up=0.3))
            cpu = (served.cpu_seconds - cpu) / max(1, run.record.codes["OK"])
            after = bare.rate(best, 0.5)
            extra = loop.run(added_latency(served.address, requests, 1.0))
            added += extra
            by_grpc += loop.run(added_latency(peer, requests, 1.0))
            rows.append(
                {
                    "round": number,
                    "bare_per_s": (before + after) / 2,
                    "served_per_s": run.rate,
                    "ratio": 2 * run.rate / (before + after),
                    "server_cpu_ms": 1000 * cpu,
                    "added_ms_p50": 1000 * quantile(extra, 0.5),
                }
            )
        turns = rows[1:]
        peak = median(row["served_per_s"] for row in turns)
        curve = _curve(loop, served.address, requests, peak, 1.0 if short else 8.0, bar)
        rows += curve
        seconds = 6.0 if short else 60.0
        bar.add_task(f"{seconds:g} s of overload", total=None)
        # The peak just before and just after: the machine may have slowed down since the turns.
        near = [_peak(loop, served.address, requests, seconds / 4)]
        result = loop.run(overload(served, requests, peak, curve[0]["p50_ms"] / 1000, seconds))
        near.append(_peak(loop, served.address, requests, seconds / 4))
    plots.draw(OUT / "serve.png", curve, result, peak)
    codes = result.run.record.codes
    rows.append(
        {
            "overload": dict(codes),
            "offered_per_s": result.offered,
            "goodput_per_s": result.goodput,
            "peak_before_and_after": near,
        }
    )
    others = sum(count for code, count in codes.items() if code not in ("OK", "RESOURCE_EXHAUSTED"))
    found = {
        "serve.throughput_vs_bare": median(row["ratio"] for row in turns),
        "serve.requests_per_s": peak,
        "serve.added_ms_p50": 1000 * quantile(added, 0.5),
        "serve.added_ms_p99": 1000 * quantile(added, 0.99),
        "serve.grpc_added_ms_p50": 1000 * quantile(by_grpc, 0.5),
        "serve.overload_goodput_vs_peak": 2 * result.goodput / sum(near),
        "serve.overload_other_codes": others / result.run.record.due,
        "serve.overload_memory_growth": result.memory_growth,
        "serve.overload_recovery_s": result.recovery,
    }
    return Measured(found, rows)


def _peak(loop: asyncio.Runner, address: str, requests: Requests, seconds: float) -> float:
    """Answers a second of a closed loop: long enough that a batch more or less does not count."""
    return loop.run(closed_loop(address, requests, DEVICES, seconds)).rate


def _curve(
    loop: asyncio.Runner, address: str, requests: Requests, peak: float, seconds: float, bar: Progress
) -> list[dict[str, Any]]:
    rows = []
    for share in bar.track(LOADS, description="latency by load"):
        run = loop.run(open_loop(address, requests, DEVICES, seconds, share * peak, warm_up=0.5))
        latencies = run.latencies()
        percentiles = {f"p{100 * one:g}_ms": 1000 * quantile(latencies, one) for one in (0.5, 0.95, 0.99)}
        rows.append({"load": share, "offered_per_s": share * peak, "stable": stable(run, share * peak), **percentiles})
    return rows
