"""The rate-fidelity plot."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from itertools import cycle

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.fidelity.curves import LEVELS
from benchmarks.fidelity.headline import CODEC
from benchmarks.fidelity.methods import GROUPS
from benchmarks.fidelity.results import Curve
from splitnet.runtime import Array

COLOURS = {
    "image": ("#f0b429", "#de7b0f", "#b42318", "#7a271a"),
    "feature": ("#b8c4d6", "#93a4bd", "#67809f", "#8fbf9f", "#4f8a63"),
    "video": ("#a98bd4", "#6d3fc0"),
    "ours": ("#0b3a86", "#7fb0f0"),
}
BANDS = ("jpeg", "avif", "affine_ctx", "x265", CODEC)
"""Methods drawn with their bootstrap band: bands of all would hide the lines."""
KL_RANGE = (0.006, 0.15)


def plot(curves: Sequence[Curve], weights: Array) -> str:
    """Mean KL over mean bytes, both on logarithmic scales, as a data URL of an SVG."""
    figure = Figure(figsize=(9.4, 5.2), layout="constrained")
    axes = figure.subplots()
    for level in LEVELS:
        axes.axhline(level, color="#d0d5dd", linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)
    drawn = [one for one in curves if one.points]
    for group in GROUPS:
        colours = cycle(COLOURS[group])
        for one in (curve for curve in drawn if curve.method.group == group):
            _line(axes, one, next(colours), weights)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_ylim(*KL_RANGE)
    axes.set_xlim(*_bytes_range(drawn, weights))
    _ticks(axes)
    axes.set_xlabel("bytes a photo (log scale)")
    axes.set_ylabel("KL divergence to the unsplit network, nats (log scale)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1.0), frameon=False, fontsize=9, borderaxespad=0)
    buffer = io.BytesIO()
    # Fixed, so that the same measurements give the same file.
    with rc_context({"svg.hashsalt": "fidelity"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _line(axes: Axes, one: Curve, colour: str, weights: Array) -> None:
    size, kl = one.means(np.full(weights.shape[1], 1 / weights.shape[1]))
    order = np.argsort(size)
    ours = one.method.name == CODEC
    axes.plot(
        size[order],
        kl[order],
        "--" if one.method.group == "feature" else "-",
        marker="o",
        markersize=4.5 if ours else 3.2,
        linewidth=2.4 if ours else 1.4,
        color=colour,
        label=one.method.label,
        zorder=4 if ours else 3,
    )
    if one.method.name in BANDS:
        low, high = np.quantile(one.means(weights.T)[1], (0.025, 0.975), axis=1)
        axes.fill_between(size[order], low[order], high[order], color=colour, alpha=0.13, linewidth=0, zorder=2)


def _bytes_range(curves: Sequence[Curve], weights: Array) -> tuple[float, float]:
    """What is seen of the curves between the limits of KL, with some air."""
    shown: list[float] = []
    for one in curves:
        size, kl = one.means(np.full(weights.shape[1], 1 / weights.shape[1]))
        shown += [float(value) for value in size[(kl > KL_RANGE[0]) & (kl < KL_RANGE[1])]]
    return (0.85 * min(shown), 1.15 * max(shown)) if shown else (100.0, 100_000.0)


def _ticks(axes: Axes) -> None:
    levels = [*LEVELS, 0.1]
    axes.set_yticks(levels)
    axes.set_yticklabels([f"{level:g}" for level in levels])
    low, high = axes.get_xlim()
    # More labels than these run into each other.
    digits = (1, 2, 5) if high / low > 15 else (1, 1.5, 2, 3, 4, 5, 7)
    steps = [m * 10**e for e in range(1, 7) for m in digits]
    axes.set_xticks([float(value) for value in steps if low <= value <= high])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(which="minor", length=0)
    axes.grid(axis="x", color="#eef0f3", linewidth=0.6)
    axes.set_axisbelow(True)
