"""`python -m benchmarks.step`: a link that becomes a hundred times slower, and faster again.

A device emulated 20 times slower, two photos a second; once for a task that the device can answer too, once for one
whose head is in the cloud alone. Changes of plan are counted too in minutes in which the link stays as it is. Needs
root. The full run takes 5 minutes.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from benchmarks.harness import Measured, main
from benchmarks.link import Link, LinkSettings
from benchmarks.links.feed import Answered, feed
from benchmarks.links.policies import ADAPTIVE, DEADLINE, SOURCES
from benchmarks.links.rig import running
from benchmarks.plan.profiling import CUTS, emulated_profile
from benchmarks.step.changes import Change, in_a_minute, reaction, read_changes
from benchmarks.step.plots import draw
from splitnet.bundle import Bundle
from splitnet.bundle.build import INPUT_CUT, build_bundle
from splitnet.demo.photos import labelled_photos
from splitnet.plan.profile import write_profile

OUT = Path("out/step")
FAST, FACTOR, DELAY = 20e6, 100.0, 0.01
STEADY, BETWEEN, STEPS = 60, 20, 3
"""Seconds before the first step and after the last, and between two; steps of each direction."""
WARM_UP, PATIENCE = 10, DEADLINE + 10
GAP = 0.5


def measure(short: bool) -> Measured:
    """Seconds to a new plan, and changes in a steady minute. Raises SplitnetError, OSError."""
    OUT.mkdir(parents=True, exist_ok=True)
    steady, steps = (10, 1) if short else (STEADY, STEPS)
    bundle = build_bundle("efficientnet-lite0", OUT / "bundle", cuts=(INPUT_CUT, *CUTS))
    photos = [photo.path for photo in labelled_photos()[:10]]
    with Progress(transient=True) as bar:
        task = bar.add_task("profile", total=None)
        write_profile(OUT / "profile.json", emulated_profile(bundle, photos[:5] if short else photos))
        contents = [photo.read_bytes() for photo in photos]

        def run(source: str) -> tuple[list[Change], list[Answered]]:
            return _run(source, bundle, contents, steady, steps)

        bar.update(task, description=" and ".join(SOURCES))
        with ThreadPoolExecutor(len(SOURCES)) as pool:
            found = dict(zip(SOURCES, pool.map(run, SOURCES), strict=True))
    trace = _trace(steps, steady)
    rows = [row for source, (changes, _) in found.items() for row in _rows(source, trace, changes, steady)]
    for source, (changes, frames) in found.items():
        draw(OUT / f"{source}.png", source, [(second, one.rate_up or 0.0) for second, one in trace], changes, frames)
    figures = {
        f"edge.step_{way}_s": max(row["new_plan_s"] for row in rows if row["step"] == way) for way in ("down", "up")
    }
    figures["edge.changes_in_a_steady_minute"] = max(
        row["changes_in_a_minute"] for row in rows if row["step"] == "none"
    )
    return Measured(figures, rows)


def _trace(steps: int, steady: int) -> list[tuple[float, LinkSettings]]:
    """Fast, then slow and fast in turns, then slow to the end: seconds from which each holds."""
    fast = LinkSettings(rate_up=FAST, rate_down=FAST, delay=DELAY)
    slow = LinkSettings(rate_up=FAST / FACTOR, rate_down=FAST / FACTOR, delay=DELAY)
    turns = [(float(steady + number * BETWEEN), fast if number % 2 else slow) for number in range(2 * steps + 1)]
    return [(0.0, fast), *turns]


def _run(
    source: str, bundle: Bundle, photos: Sequence[bytes], steady: int, steps: int
) -> tuple[list[Change], list[Answered]]:
    trace = _trace(steps, steady)
    seconds = trace[-1][0] + BETWEEN + steady
    with (
        Link(trace[0][1], seed=1) as link,
        running(link, OUT / source, bundle, OUT / "profile.json", ADAPTIVE, {source: SOURCES[source]}) as log,
    ):
        path = OUT / source / f"{source}.sock"
        feed(path, photos, time.monotonic(), np.arange(0.5, WARM_UP, GAP).tolist(), PATIENCE)
        # The log has the clock of the wall.
        ahead = time.time() - time.monotonic()
        start = link.replay(trace)
        frames = feed(path, photos, start, np.arange(0.25, seconds, GAP).tolist(), PATIENCE)
        return read_changes(log, start + ahead), frames


def _rows(
    source: str, trace: Sequence[tuple[float, LinkSettings]], changes: Sequence[Change], steady: int
) -> list[dict[str, Any]]:
    """One for each step, and one for each minute without any."""
    seconds = [second for second, _ in trace[1:]]
    rows: list[dict[str, Any]] = []
    for number, second in enumerate(seconds):
        found = reaction(changes, second, second + BETWEEN)
        rows.append(
            {
                "source": source,
                "second": second,
                "step": "up" if number % 2 else "down",
                "new_plan_s": found.first,
                "last_plan_s": found.last,
                "plan": found.stayed,
            }
        )
    for begin in (0.0, seconds[-1] + BETWEEN):
        each_minute = in_a_minute(changes, begin, begin + steady)
        rows.append({"source": source, "second": begin, "step": "none", "changes_in_a_minute": each_minute})
    return rows


if __name__ == "__main__":
    main("step", measure)
