"""Any load on any server: `python -m benchmarks.serve load --help`."""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from benchmarks.serve.load import Run, closed_loop, open_loop
from benchmarks.serve.requests import Requests, parse_mix
from benchmarks.serve.scenarios import quantile, stable
from splitnet.bundle import Bundle
from splitnet.errors import SplitnetError


class Arrivals(StrEnum):
    """When an open loop sends."""

    poisson = "poisson"
    constant = "constant"


def load(
    server: Annotated[str, typer.Option(help="HOST:PORT of a running `splitnet serve`.")],
    bundle: Annotated[Path, typer.Option(help="The bundle it serves.")] = Path("out/demo/bundle"),
    mix: Annotated[str, typer.Option(help="CUT[:CODEC][@TASK+TASK][*WEIGHT], semicolons between.")] = "block7",
    devices: Annotated[int, typer.Option(min=1, help="Streams.")] = 32,
    fps: Annotated[float, typer.Option(min=0, help="Frames a second of each device; 0: closed loop.")] = 0.0,
    arrivals: Annotated[Arrivals, typer.Option(help="Of the open loop.")] = Arrivals.poisson,
    in_flight: Annotated[int, typer.Option(min=1, help="Requests of a device in flight, closed loop.")] = 1,
    deadline: Annotated[float, typer.Option(min=0, help="Seconds; 0: none.")] = 0.0,
    seconds: Annotated[float, typer.Option(min=0.1)] = 10.0,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Send real frames of the demo's photos and print rates and latencies from the moment each was due."""
    try:
        requests = Requests(Bundle.load(bundle), parse_mix(mix), seed)
    except SplitnetError as error:
        sys.exit(f"benchmarks.serve: {error}")
    offered = fps * devices
    if offered:
        run = asyncio.run(
            open_loop(
                server,
                requests,
                devices,
                seconds,
                offered,
                arrivals=arrivals.value,
                timeout=deadline,
                seed=seed,
            )
        )
    else:
        run = asyncio.run(closed_loop(server, requests, devices, seconds, in_flight=in_flight))
    Console().print(_table(run, offered, requests.mean_bytes))
    if set(run.record.codes) - {"OK"}:
        sys.exit(1)


def _table(run: Run, offered: float, size: float) -> Table:
    table = Table(title="Load", title_justify="left", show_header=False)
    latencies = run.latencies()
    for name, value in (
        ("offered a second", f"{offered:,.1f}" if offered else "as fast as answered"),
        ("answered a second", f"{run.rate:,.1f}"),
        ("request", f"{size:,.0f} bytes"),
        *(
            (f"p{100 * share:g}", f"{1000 * quantile(latencies, share):,.2f} ms")
            for share in (0.5, 0.9, 0.95, 0.99, 0.999)
        ),
        ("outcomes", ", ".join(f"{code} {count:,}" for code, count in sorted(run.record.codes.items()))),
        *((("keeps up", "yes" if stable(run, offered) else "NO"),) if offered else ()),
    ):
        table.add_row(name, value)
    return table
