"""What every benchmark script shares: options, the table it prints, the JSON it writes."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.bars import BARS
from splitnet.errors import SplitnetError
from splitnet.figures import write_results

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Measured:
    """What a script found: figures by name, and the rows behind them."""

    figures: Mapping[str, float]
    rows: Sequence[Mapping[str, Any]] = field(default_factory=list)


def main(script: str, measure: Callable[..., Measured], paths: Mapping[str, str] | None = None) -> None:
    """Run one benchmark script: `--short` for a quick version, `--out DIR` for another folder than results/.

    `paths` are further options by name, with their help; `measure` is given them as keywords, None where absent.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{script}")
    parser.add_argument("--short", action="store_true", help="fewer repeats")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder of the JSON (default: benchmarks/results)")
    for name, told in (paths or {}).items():
        parser.add_argument(f"--{name}", type=Path, help=told)
    options = parser.parse_args()
    given = {name: getattr(options, name) for name in paths or {}}
    try:
        measured = measure(options.short, **given)
    except (SplitnetError, OSError) as error:
        sys.exit(f"benchmarks.{script}: {error}")
    if not measured.figures:
        # What was measured before is worth more than an empty file.
        missing = "; ".join(str(row["missing"]) for row in measured.rows if "missing" in row)
        sys.exit(f"benchmarks.{script}: nothing was measured, nothing is written; missing: {missing or 'data'}")
    # Names of folders and files are the reader's own.
    told = "".join(f" --{name} {name.upper()}" for name, path in given.items() if path is not None)
    command = f"python -m benchmarks.{script}{told}" + (" --short" if options.short else "")
    write_results(options.out / f"{script}.json", command=command, figures=measured.figures, rows=measured.rows)
    Console().print(figure_table(measured.figures))
    print(f"wrote {os.path.relpath(options.out / f'{script}.json')}", file=sys.stderr)


def figure_table(figures: Mapping[str, float]) -> Table:
    """Figure, value, bar, met or not."""
    table = Table(title="Figures", title_justify="left")
    table.add_column("figure", no_wrap=True)
    for name in ("value", "bar", "met"):
        table.add_column(name, justify="right")
    for name, value in sorted(figures.items()):
        bar = BARS.get(name)
        met = "" if bar is None else ("yes" if bar.met(value) else "NO")
        table.add_row(name, f"{value:,.4g}", str(bar or ""), met, style="" if met != "NO" else "red")
    return table
