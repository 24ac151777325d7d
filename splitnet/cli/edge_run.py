"""`splitnet edge run`: photos through the edge half, results as they come."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from splitnet.cli.credentials import Ca, Cert, Key, Tls, TokenFile, credentials
from splitnet.cli.exit_codes import ExitCode
from splitnet.cli.sizes import parse_size
from splitnet.cli.tracing import send_traces

if TYPE_CHECKING:
    from splitnet.cli.reports import Report
    from splitnet.edge.trace import Trace


def run(
    server: Annotated[str, typer.Option(help="HOST:PORT of the service, or `local` for both halves in one process.")],
    source: Annotated[
        list[str],
        typer.Option(help="Photo (.npy file where the network takes no images), folder or glob; repeatable."),
    ],
    bundle: Annotated[
        Path, typer.Option(envvar="SPLITNET_BUNDLE", help="Bundle directory, the same as the service's.")
    ] = Path("bundle"),
    cut: Annotated[str, typer.Option(help="Where to split; the cut with the fewest values by default.")] = "",
    codec: Annotated[
        str, typer.Option(help="Codec spec; the cut's calibrated transform, or affine:bits=8|zstd:level=3 without one.")
    ] = "",
    size: Annotated[
        str | None,
        typer.Option(help="HEIGHTxWIDTH that photos get, where the bundle takes any size; its own by default."),
    ] = None,
    tasks: Annotated[str, typer.Option(help="Comma-separated; all of the bundle's by default.")] = "",
    deadline: Annotated[float, typer.Option(min=0.001, help="Seconds for each exchange with the service.")] = 10.0,
    top_k: Annotated[int, typer.Option(min=1, max=1000, help="Classes that classification returns.")] = 5,
    in_flight: Annotated[int, typer.Option(min=1, max=256, help="Photos under way at once.")] = 4,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads of one run of the edge graph.")] = 1,
    token_file: TokenFile = None,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    tls: Tls = False,
    retries: Annotated[
        int, typer.Option(min=0, max=100, help="How often a request is sent again where it can help.")
    ] = 3,
    application: Annotated[str, typer.Option(help="Which application of a Ray Serve cluster is meant.")] = "",
    unary: Annotated[
        bool, typer.Option("--unary", help="One call a photo, for balancers that share out calls.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a line instead of a table.")] = False,
    trace: Annotated[bool, typer.Option("--trace", help="Say where the time went.")] = False,
) -> None:
    """Run photos through the network, split between this device and the service.

    Exit code 1: some photos had no answer (each is reported); see docs/cli.md for the others.
    """
    import asyncio
    from dataclasses import replace

    from splitnet.runtime.heap import share_heap

    share_heap()
    from splitnet.cli.reports import JsonReport, TableReport
    from splitnet.edge.client import AsyncEdge
    from splitnet.edge.retry import RetryPolicy
    from splitnet.edge.sources import photos

    shown = replace(credentials(token_file, ca, cert, key, tls), application=application)
    retry = RetryPolicy(attempts=retries + 1)
    send_traces("splitnet-edge")
    pixels = None if size is None else parse_size(size)
    wanted = tuple(name.strip() for name in tasks.split(",") if name.strip())

    async def main() -> int:
        edge = AsyncEdge(
            bundle,
            server,
            cut=cut,
            codec=codec,
            threads=threads,
            credentials=shown,
            retry=retry,
            unary=unary,
            size=pixels,
        )
        async with edge:
            for task in wanted:
                edge.bundle.task(task)
            paths = list(photos(source, kind=edge.bundle.manifest.input.kind))
            await edge.connect(timeout=min(deadline, 5.0))
            report: Report = JsonReport(trace) if json else TableReport(len(paths), trace)
            return await _run(edge, paths, report)

    async def _run(edge: AsyncEdge, paths: list[Path], report: Report) -> int:
        from splitnet.edge.run import run as run_photos

        failed = 0
        traces: list[Trace] = []
        with report:
            outcomes = run_photos(edge, paths, tasks=wanted, top_k=top_k, deadline=deadline, in_flight=in_flight)
            async for outcome in outcomes:
                report.add(outcome)
                if outcome.inference is None:
                    failed += 1
                else:
                    traces.append(outcome.inference.trace)
            report.finish(traces, failed)
        return failed

    if asyncio.run(main()):
        raise typer.Exit(ExitCode.SOME_FAILED)
