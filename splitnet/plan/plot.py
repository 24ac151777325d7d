"""Which choice wins over bandwidth and round trip, and by how much."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from splitnet.files import write_whole
from splitnet.plan.candidate import MODES, Candidate, Link, Objective
from splitnet.plan.planner import Plan, Prediction, best

BANDWIDTHS = (0.05, 1000.0)
"""Mbit/s."""
ROUND_TRIPS = (1.0, 500.0)
"""Milliseconds; wider where the given link is beyond."""
GRID = (73, 33)
MOST_CHOICES = 9
"""Named in the legend, by area; the rest is one colour."""
MOST_LINES = 7

_CUTS = ("#2563a8", "#2f9e6e", "#7b4fb5", "#1aa3b8", "#a83279", "#6b8e23", "#8c6d46")
_MODES = {"edge": "#8a919c", "cloud": "#e08b2c"}
_REST = "#e5e7eb"
_UNITS: dict[Objective, tuple[str, float]] = {
    "latency": ("latency, ms", 1000.0),
    "bytes": ("bytes sent", 1.0),
    "energy": ("energy of the device, mJ", 1000.0),
    "throughput": ("photos a second", 1.0),
}


def draw_plan(path: Path, made: Plan, title: str) -> None:
    """Write a PNG: left the winning choice by bandwidth and RTT, right the best of each cut at the link's RTT.

    Raises OutputError.
    """
    allowed = [one.candidate for one in made.table if not one.refusal]
    if made.objective == "energy":
        allowed = [one for one in allowed if one.energy is not None]
    # In the network's order, so that a cut has the same colour on every link.
    allowed.sort(key=lambda one: (MODES.index(one.mode), one.edge, -one.size))
    figure = Figure(figsize=(12.5, 5.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    _map(left, allowed, made)
    _lines(right, allowed, made)
    figure.suptitle(title)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    write_whole(path, lambda stream: stream.write(buffer.getvalue()), folders=True)


def _map(axes: Axes, allowed: Sequence[Candidate], made: Plan) -> None:
    bandwidths = np.geomspace(*BANDWIDTHS, GRID[0])
    rtt = 1000 * made.link.rtt
    trips = np.geomspace(min(ROUND_TRIPS[0], rtt or ROUND_TRIPS[0]), max(ROUND_TRIPS[1], rtt), GRID[1])
    winners = [
        [best(allowed, _at(made.link, bandwidth, trip / 1000), made.objective).candidate for bandwidth in bandwidths]
        for trip in trips
    ]
    area: dict[Candidate, int] = {}
    for row in winners:
        for one in row:
            area[one] = area.get(one, 0) + 1
    named = sorted(sorted(area, key=lambda one: -area[one])[:MOST_CHOICES], key=list(allowed).index)
    places = {one: index for index, one in enumerate(named)}
    colours = _shades(named, _colours(allowed))
    cells = np.array([[places.get(one, len(named)) for one in row] for row in winners])
    axes.pcolormesh(
        bandwidths, trips, cells, cmap=ListedColormap([*colours, to_rgb(_REST)]), vmin=-0.5, vmax=len(named) + 0.5,
        shading="nearest",
    )  # fmt: skip
    axes.plot([made.link.bandwidth / 1e6], [max(rtt, trips[0])], "*", markersize=15, color="black", markeredgecolor="w")
    _logarithmic(axes, "x", "uplink, Mbit/s")
    _logarithmic(axes, "y", "round trip, ms")
    axes.set_xlim(*BANDWIDTHS)
    axes.set_ylim(trips[0], trips[-1])
    axes.set_title(f"Best for {made.objective} (star: the given link)", fontsize=11)
    handles = [Patch(color=colour, label=one.name) for one, colour in zip(named, colours, strict=True)]
    if len(area) > len(named):
        handles.append(Patch(color=_REST, label=f"{len(area) - len(named)} more"))
    axes.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=2, frameon=False, fontsize=9)


def _lines(axes: Axes, allowed: Sequence[Candidate], made: Plan) -> None:
    bandwidths = np.geomspace(*BANDWIDTHS, 2 * GRID[0])
    families: dict[str, list[Candidate]] = {}
    for one in allowed:
        families.setdefault(_family(one), []).append(one)
    label, factor = _UNITS[made.objective]
    curves = {
        name: np.array(
            [
                factor * _value(best(some, _at(made.link, one, made.link.rtt), made.objective), made)
                for one in bandwidths
            ]
        )
        for name, some in families.items()
    }
    colours = _colours(allowed)
    sign = -1 if made.objective == "throughput" else 1
    # Those that are best most often, then those that come closest to it anywhere.
    envelope = np.min([sign * curve for curve in curves.values()], axis=0)
    gaps = {name: sign * curve - envelope for name, curve in curves.items()}
    closest = sorted(curves, key=lambda name: (-int((gaps[name] == 0).sum()), float(gaps[name].min())))[:MOST_LINES]
    for name in [one for one in curves if one in closest]:
        axes.plot(bandwidths, curves[name], color=colours[name], linewidth=2, label=_label(name))
    axes.axvline(made.link.bandwidth / 1e6, color="black", linewidth=1, linestyle=":")
    _logarithmic(axes, "x", "uplink, Mbit/s")
    if made.objective == "bytes":
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    else:
        _logarithmic(axes, "y", label)
    axes.set_ylabel(label)
    axes.set_xlim(*BANDWIDTHS)
    axes.grid(alpha=0.25)
    axes.set_title(f"Best codec of each at a round trip of {1000 * made.link.rtt:g} ms", fontsize=11)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=4, frameon=False, fontsize=9)


def _at(link: Link, megabits: float, rtt: float) -> Link:
    return replace(link, bandwidth=1e6 * megabits, rtt=rtt)


def _value(one: Prediction, made: Plan) -> float:
    match made.objective:
        case "latency":
            return one.latency
        case "bytes":
            return one.sent
        case "throughput":
            return one.throughput
        case "energy":
            return one.energy or 0.0


def _family(one: Candidate) -> str:
    return f"split at {one.cut}" if one.mode == "split" else one.mode


def _label(family: str) -> str:
    return {"edge": "all on the edge", "cloud": "all in the cloud"}.get(family, family)


def _colours(candidates: Sequence[Candidate]) -> dict[str, str]:
    """One for every family; cuts beyond the palette begin again."""
    found: dict[str, str] = {}
    cuts = 0
    for name in dict.fromkeys(_family(one) for one in candidates):
        if name in _MODES:
            found[name] = _MODES[name]
        else:
            found[name] = _CUTS[cuts % len(_CUTS)]
            cuts += 1
    return found


def _shades(named: Sequence[Candidate], colours: dict[str, str]) -> list[tuple[float, float, float]]:
    """A colour each: that of its family, lighter for each further one of the same."""
    seen: dict[str, int] = {}
    found = []
    for one in named:
        name = _family(one)
        white = 0.75 * (1 - 0.7 ** seen.get(name, 0))
        seen[name] = seen.get(name, 0) + 1
        red, green, blue = (part + (1 - part) * white for part in to_rgb(colours[name]))
        found.append((red, green, blue))
    return found


def _logarithmic(axes: Axes, which: str, label: str) -> None:
    axis = axes.xaxis if which == "x" else axes.yaxis
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    # Few decades, and one label would be all.
    axis.set_major_locator(LogLocator(subs=(1.0,) if high / low > 300 else (1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(NullFormatter())
    axis.set_label_text(label)
