"""Every benchmark's short version, and one table: figure, value, bar, met or not."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from benchmarks import coder_share, ctx, demo, depth, floats, footprint, hostile, rans
from benchmarks.bars import BARS
from benchmarks.edge import starts
from benchmarks.fidelity import shipped
from benchmarks.harness import figure_table
from benchmarks.serve import measure as serve
from splitnet.figures import write_results

SCRIPTS = (demo, footprint, rans, ctx, floats, shipped, coder_share, depth, serve, hostile, starts)


def run() -> int:
    """Measure, print, write out/figures.json; 1 where a bar is missed or a needed figure was not measured."""
    figures: dict[str, float] = {}
    for script in SCRIPTS:
        figures |= script.measure(True).figures
    Console().print(figure_table(figures))
    write_results(Path("out/figures.json"), command="python -m benchmarks.figures", figures=figures, rows=[])
    missed = [name for name, bar in BARS.items() if not (bar.met(figures[name]) if name in figures else not bar.needed)]
    if missed:
        print(f"not met: {', '.join(missed)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(run())
