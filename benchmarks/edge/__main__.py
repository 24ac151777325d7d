"""`python -m benchmarks.edge`: the daemon's rate on one core, its memory, its start."""

from __future__ import annotations

from benchmarks.edge.starts import measure
from benchmarks.harness import main

if __name__ == "__main__":
    main("edge", measure)
