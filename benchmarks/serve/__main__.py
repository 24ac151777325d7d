"""`python -m benchmarks.serve`: the figures of the service; `python -m benchmarks.serve load`: any load you like."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from benchmarks.harness import RESULTS, figure_table
from benchmarks.serve import custom
from benchmarks.serve.measure import measure
from splitnet.errors import SplitnetError
from splitnet.figures import write_results

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
app.command("load")(custom.load)


@app.callback(invoke_without_command=True)
def figures(
    context: typer.Context,
    short: Annotated[bool, typer.Option(help="Seconds instead of minutes.")] = False,
    out: Annotated[Path, typer.Option(help="Folder of the JSON.")] = RESULTS,
) -> None:
    """Throughput beside the bare network, added latency, overload: the server on one core, the load on another."""
    if context.invoked_subcommand is not None:
        return
    try:
        measured = measure(short)
    except SplitnetError as error:
        sys.exit(f"benchmarks.serve: {error}")
    command = "python -m benchmarks.serve" + (" --short" if short else "")
    write_results(out / "serve.json", command=command, figures=measured.figures, rows=measured.rows)
    Console().print(figure_table(measured.figures))


if __name__ == "__main__":
    app()
