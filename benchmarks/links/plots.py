"""Pictures of a trace and of what each policy made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from benchmarks.link import LinkSettings
from benchmarks.links.feed import Answered

KINDS = {
    "not answered": "black",
    "on the device": "tab:red",
    "JPEG": "tab:purple",
    "block4": "tab:green",
    "block7": "tab:blue",
    "block10": "tab:cyan",
}
"""Ways to answer a frame, and their colours."""
TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)


def kind_of(one: Answered) -> str:
    """How a frame was answered, one of `KINDS`."""
    if not one.status:
        return "not answered"
    return {"": "on the device", "input": "JPEG"}.get(one.cut, one.cut)


def scatter(axes: Axes, frames: Sequence[Answered], before: str = "") -> None:
    """A point for each frame, coloured by its kind; `before` goes in front of the legend's labels."""
    for kind, colour in KINDS.items():
        mine = [one for one in frames if kind_of(one) == kind]
        if mine:
            points = [one.due for one in mine], [one.seconds for one in mine]
            axes.scatter(*points, s=12, color=colour, label=before + kind)


def finish(axes: Axes) -> None:
    """Axes of latencies: logarithmic, with plain numbers, the legend beside them."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    ticks = [one for one in TICKS if low <= one <= high]
    axes.set_yticks(ticks, labels=[f"{one:g}" for one in ticks])
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel("seconds to the answer")
    axes.set_xlabel("seconds")
    axes.grid(alpha=0.3)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)


def draw(
    path: Path,
    name: str,
    trace: Sequence[tuple[float, LinkSettings]],
    runs: Mapping[str, Mapping[str, Sequence[Answered]]],
    oracle: Sequence[float],
) -> None:
    """Bandwidth above; below the latency of every frame of the adaptive daemon by its cut, and of fixed choices."""
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[1, 2])
    above.step(
        [one for one, _ in trace], [0 if one.outage else (one.rate_up or 0) / 1e6 for _, one in trace], where="post"
    )
    above.set_yscale("symlog", linthresh=0.05)
    above.set_ylabel("Mbit/s")
    above.set_title(f"trace {name}")
    adaptive = runs["adaptive"]["watch"]
    scatter(below, adaptive, "adaptive: ")
    below.step([one.due for one in adaptive], oracle, where="mid", color="black", linewidth=0.8, label="oracle")
    for policy in ("cloud JPEG", "all on the edge"):
        if policy in runs:
            frames = list(runs[policy]["watch"])
            below.plot(
                [one.due for one in frames], [one.seconds for one in frames], linewidth=0.7, alpha=0.6, label=policy
            )
    finish(below)
    figure.savefig(path, dpi=130)
