"""Twenty minutes at 70 % load: does the service keep its memory, and its word?

Reconnecting devices, a mix of cuts, codecs and tasks, and the server's resident memory once a second.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from matplotlib.figure import Figure
from rich.progress import Progress

from benchmarks.harness import Measured, main
from benchmarks.serve.load import closed_loop, open_loop
from benchmarks.serve.processes import Cores, Served, server
from benchmarks.serve.requests import Requests, parse_mix
from splitnet.demo.main import demo_bundle

OUT = Path("out/soak")
MIX = "block7*6;block10*2;block4*1;block7:affine:bits=8|zlib@classification*1"
DEVICES, LOAD, SECONDS, WARM_UP = 32, 0.7, 1200.0, 180.0
SPELL = 15.0
"""Seconds after which all devices hang up and come back."""


async def _memory(served: Served, samples: list[tuple[float, float]]) -> None:
    started = time.perf_counter()
    while True:
        samples.append((time.perf_counter() - started, served.resident_bytes / 1e6))
        await asyncio.sleep(1.0)


def measure(short: bool) -> Measured:
    """Growth of memory after the warm-up, answers that were no results, requests answered."""
    seconds, warm_up = (40.0, 15.0) if short else (SECONDS, WARM_UP)
    cores, bundle = Cores.pick(), demo_bundle(Path("out/demo/bundle"))
    requests = Requests(bundle, parse_mix(MIX))
    samples: list[tuple[float, float]] = []
    codes: Counter[str] = Counter()
    with asyncio.Runner() as loop, server(bundle.path, cores.server, OUT / "server.log") as served:
        rate = LOAD * loop.run(closed_loop(served.address, requests, DEVICES, 3.0 if short else 10.0)).rate

        async def soak() -> None:
            watcher = asyncio.create_task(_memory(served, samples))
            spells = math.ceil(seconds / SPELL)
            with Progress(transient=True) as bar:
                for number in bar.track(range(spells), description="soaking"):
                    run = await open_loop(
                        served.address, requests, DEVICES, SPELL, rate, warm_up=0.0, timeout=10.0, seed=number
                    )
                    codes.update(run.record.codes)
            watcher.cancel()

        loop.run(soak())
    growth, swing = _growth([megabytes for moment, megabytes in samples if moment >= warm_up])
    if not short:
        _draw(samples, warm_up)
    figures = {
        "serve.soak_memory_growth": growth,
        "serve.soak_memory_swing": swing,
        "serve.soak_errors": float(sum(count for code, count in codes.items() if code != "OK")),
        "serve.soak_answers": float(codes["OK"]),
    }
    return Measured(
        figures, [{"codes": dict(codes), "rate": rate, "resident_mb": samples[:: max(1, len(samples) // 200)]}]
    )


def _growth(megabytes: Sequence[float]) -> tuple[float, float]:
    """The high-water mark of the second half over that of the first, and the highest over the lowest, less 1.

    gRPC keeps some kilobytes of each connection that ended and gives them back late, all at once: at times a sawtooth
    with a period of some minutes. Marks, and not means: what is given back before the end was held all the same. Of
    medians over 10 s, for a batch under way is no growth.
    """
    smooth = [median(megabytes[start : start + 10]) for start in range(0, max(1, len(megabytes) - 9), 10)]
    half = max(1, len(smooth) // 2)
    return max(smooth[half:] or smooth) / max(smooth[:half]) - 1, max(smooth) / min(smooth) - 1


def _draw(samples: list[tuple[float, float]], warm_up: float) -> None:
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.plot([moment / 60 for moment, _ in samples], [megabytes for _, megabytes in samples])
    axes.axvline(warm_up / 60, color="grey", linestyle="--", linewidth=1, label="end of the warm-up")
    axes.set_xlabel("minutes at 70 % load")
    axes.set_ylabel("memory of the server, MB")
    axes.set_ylim(0, 1.1 * max(megabytes for _, megabytes in samples))
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    OUT.mkdir(parents=True, exist_ok=True)
    figure.savefig(OUT / "soak.png", dpi=130)


if __name__ == "__main__":
    main("soak", measure)
