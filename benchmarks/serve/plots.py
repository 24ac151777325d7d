"""Latency by load, and what overload looks like second by second."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.serve.scenarios import Overload


def draw(path: Path, curve: Sequence[Mapping[str, Any]], overload: Overload, peak: float) -> None:
    """Write a PNG of both."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _latency(left, curve)
    _overload(right, overload, peak)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def _latency(axes: Axes, curve: Sequence[Mapping[str, Any]]) -> None:
    loads = [100 * row["load"] for row in curve]
    for name, label in (("p50_ms", "median"), ("p95_ms", "95 %"), ("p99_ms", "99 %")):
        axes.plot(loads, [row[name] for row in curve], marker="o", markersize=4, label=label)
    axes.set_yscale("log")
    axes.set_xlabel("offered load, % of the closed loop's peak")
    axes.set_ylabel("latency, ms, from the moment due")
    axes.set_title("Latency by load, Poisson arrivals, 32 devices")
    axes.grid(alpha=0.3, which="both")
    axes.legend()


def _overload(axes: Axes, overload: Overload, peak: float) -> None:
    run = overload.run
    seconds = max(1, math.floor(run.ended - run.started))
    edges = np.arange(seconds + 1)
    answered = np.histogram(np.array(run.record.finished) - run.started, edges)[0]
    refused = np.histogram(np.array(run.record.refused_at) - run.started, edges)[0]
    axes.step(edges[:-1], refused, where="post", color="tab:red", label="refused")
    axes.step(edges[:-1], answered, where="post", color="tab:green", label="answered")
    axes.axhline(peak, color="grey", linestyle="--", linewidth=1, label="peak of a closed loop")
    axes.set_xlabel("seconds")
    axes.set_ylabel("requests a second")
    axes.set_ylim(bottom=0)
    axes.set_title(f"Overload: {overload.offered:,.0f} requests a second offered")
    axes.grid(alpha=0.3)
    memory = axes.twinx()
    memory.plot(np.array(overload.moments) - run.started, np.array(overload.memory) / 1e6, color="tab:blue", alpha=0.7)
    memory.set_ylabel("memory of the server, MB", color="tab:blue")
    memory.set_ylim(0, 1.3 * max(overload.memory, default=1e6) / 1e6)
    memory.set_xlim(0, seconds)
    axes.legend(loc="center right")
