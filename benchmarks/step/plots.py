"""A picture of steps, of the frames, and of the moments at which the plan changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.links.feed import Answered
from benchmarks.links.plots import finish, scatter
from benchmarks.step.changes import Change


def draw(
    path: Path, source: str, steps: Sequence[tuple[float, float]], changes: Sequence[Change], frames: Sequence[Answered]
) -> None:
    """Bandwidth above (steps: second, bits a second); below every frame's latency by its cut, a line at each change."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2.5])
    end = max(one.due for one in frames)
    above.step(
        [*(second for second, _ in steps), end], [*(rate / 1e6 for _, rate in steps), steps[-1][1] / 1e6], where="post"
    )
    above.set_yscale("log")
    above.set_ylabel("Mbit/s")
    above.set_title(f"steps of the bandwidth, source {source}")
    scatter(below, frames)
    for number, change in enumerate(one for one in changes if 0 <= one.second <= end):
        below.axvline(
            change.second, color="black", linewidth=0.7, linestyle=":", label="new plan" if not number else None
        )
    finish(below)
    figure.savefig(path, dpi=130)
