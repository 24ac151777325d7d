"""The demo's figures: bytes, agreement, exactness with lossless codecs, and what the framework adds."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from benchmarks.harness import Measured, main
from splitnet.demo.main import result_rows, run_demo


def measure(short: bool) -> Measured:
    """Run the demo; it has one size."""
    results = run_demo(Path("out/demo"), Console(highlight=False))
    return Measured(results.figures(), result_rows(results))


if __name__ == "__main__":
    main("demo", measure)
