"""Pictures of a trace and of what each policy made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.link import LinkSettings
from benchmarks.links.feed import Answered

_COLOURS = {"": "tab:red", "input": "tab:purple", "block4": "tab:green", "block7": "tab:blue", "block10": "tab:cyan"}


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
    for cut, colour in _COLOURS.items():
        frames = [one for one in adaptive if one.cut == cut]
        if frames:
            label = {"": "adaptive: on the device", "input": "adaptive: JPEG"}.get(cut, f"adaptive: {cut}")
            below.scatter([one.due for one in frames], [one.seconds for one in frames], s=14, color=colour, label=label)
    below.step([one.due for one in adaptive], oracle, where="mid", color="black", linewidth=0.8, label="oracle")
    for policy in ("cloud JPEG", "all on the edge"):
        if policy in runs:
            frames = list(runs[policy]["watch"])
            below.plot(
                [one.due for one in frames], [one.seconds for one in frames], linewidth=0.7, alpha=0.6, label=policy
            )
    below.set_yscale("log")
    below.set_ylabel("seconds to the answer")
    below.set_xlabel("seconds")
    below.grid(alpha=0.3)
    below.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=8)
    figure.savefig(path, dpi=130)
