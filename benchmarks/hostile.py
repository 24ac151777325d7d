"""Others' latency while hostile clients do their worst, and what the server keeps of it afterwards.

The server is set up as in production: TLS, client certificates, tokens, and limits for each client. A normal load (8
devices, Poisson arrivals, 30 % of what the service can do) runs alone, then beside every kind of hostile client at
once, then alone again. Those of them who get far enough to send requests have a token of their own.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from rich.progress import Progress

from benchmarks.harness import Measured, main
from benchmarks.serve.gang import GANG, Target
from benchmarks.serve.load import Run, closed_loop, open_loop
from benchmarks.serve.processes import Cores, Served, server
from benchmarks.serve.requests import Requests, parse_mix
from benchmarks.serve.scenarios import quantile
from benchmarks.serve.secured import Secured, secured
from splitnet.demo.main import demo_bundle
from splitnet.v1 import inference_pb2 as pb

OUT = Path("out/hostile")
SHARE, DEVICES = 0.3, 8


def _misbehave(names: tuple[str, ...], address: str, request: bytes, pki: Secured, core: int) -> None:
    os.sched_setaffinity(0, {core})
    # They share a core with whoever measures: what they take from it must not look like the service's slowness.
    os.nice(19)
    os.environ["GRPC_VERBOSITY"] = "NONE"
    target = Target(address, pb.InferRequest.FromString(request), pki.clients[-1], (pki.expired, pki.stranger))

    async def together() -> None:
        await asyncio.gather(*(_again(name, target) for name in names))

    asyncio.run(together())


async def _again(name: str, target: Target) -> None:
    while True:
        # What the server does to them is not our concern: whoever is thrown out comes back.
        with contextlib.suppress(Exception):
            await GANG[name](target)
        await asyncio.sleep(0.1)


@contextlib.contextmanager
def gang(address: str, good: pb.InferRequest, pki: Secured, core: int) -> Iterator[None]:
    """All of them at work, until the end of the block; those who need a token have the last client's."""
    context = multiprocessing.get_context("spawn")
    arguments = (tuple(GANG), address, good.SerializeToString(), pki, core)
    process = context.Process(target=_misbehave, args=arguments, daemon=True)
    process.start()
    try:
        yield
    finally:
        process.kill()
        process.join()


def open_files(served: Served) -> int:
    """File descriptors that the server holds."""
    return sum(1 for _ in Path(f"/proc/{served.process.pid}/fd").iterdir())


def measure(short: bool) -> Measured:
    """Others' 99th percentile with and without, memory and descriptors kept, errors that others saw."""
    seconds, rounds = (5.0, 1) if short else (20.0, 3)
    cores, bundle = Cores.pick(), demo_bundle(Path("out/demo/bundle"))
    requests = Requests(bundle, parse_mix("block7"))
    ratios, rows, errors = [], [], 0
    pki = secured(OUT / "pki", DEVICES + 1)
    with asyncio.Runner() as loop, server(bundle.path, cores.server, OUT / "server.log") as served:
        rate = SHARE * loop.run(closed_loop(served.address, requests, 32, 2.0)).rate
    with (
        asyncio.Runner() as loop,
        server(bundle.path, cores.server, OUT / "server.log", pki.options) as served,
        Progress(transient=True) as bar,
    ):

        def normal(rate: float) -> Run:
            return loop.run(open_loop(served.address, requests, DEVICES, seconds, rate, credentials=pki.clients[:-1]))

        with gang(served.address, requests.draw(), pki, cores.load):
            normal(rate)
        time.sleep(2.0)
        memory, files = served.resident_bytes, open_files(served)
        for _ in bar.track(range(rounds), description="normal load beside hostile clients"):
            before = normal(rate)
            with gang(served.address, requests.draw(), pki, cores.load):
                time.sleep(2.0)
                during = normal(rate)
            time.sleep(2.0)
            after = normal(rate)
            alone = median(quantile(run.latencies(), 0.99) for run in (before, after))
            ratios.append(quantile(during.latencies(), 0.99) / alone)
            errors += sum(count for code, count in during.record.codes.items() if code != "OK")
            rows.append(
                {
                    "p99_ms": 1000 * alone,
                    "p99_ms_beside_hostile": 1000 * quantile(during.latencies(), 0.99),
                    "codes": dict(during.record.codes),
                    "resident_mb": served.resident_bytes / 1e6,
                    "open_files": open_files(served),
                }
            )
        crashed = served.process.poll() is not None
        growth = served.resident_bytes / memory - 1
        kept = open_files(served) - files
    figures = {
        "serve.hostile_p99_ratio": median(ratios),
        "serve.hostile_errors_of_others": float(errors),
        "serve.hostile_crashes": float(crashed),
        "serve.hostile_memory_growth": growth,
        "serve.hostile_files_kept": float(kept),
    }
    return Measured(figures, rows)


if __name__ == "__main__":
    main("hostile", measure)
