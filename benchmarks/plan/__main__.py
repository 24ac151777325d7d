"""`python -m benchmarks.plan`: every candidate on every link, beside what the planner predicted.

A device emulated 20 times slower and a service, each in a namespace of an emulated link (`benchmarks.link`). Needs
root, as links do.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from rich.progress import Progress

from benchmarks.harness import Measured, main
from benchmarks.link import Link, LinkSettings
from benchmarks.link.service import address_of, start_service
from benchmarks.plan.cells import CELLS, SHORT, TURNS, Tried, overhead_of, try_cell
from benchmarks.plan.profiling import CUTS, SLOWDOWN, emulated_profile
from splitnet.bundle import Bundle
from splitnet.bundle.build import INPUT_CUT, build_bundle
from splitnet.demo.photos import labelled_photos
from splitnet.errors import UnavailableError
from splitnet.plan import Candidate

OUT = Path("out/plan")
LANES = 2
"""Links at a time: a device that is emulated 20 times slower computes for a twentieth of the time."""


def measure(short: bool) -> Measured:
    """How much worse the choices were than the best, and how wrong the predictions. Raises SplitnetError, OSError."""
    OUT.mkdir(parents=True, exist_ok=True)
    bundle = build_bundle("efficientnet-lite0", OUT / "bundle", cuts=(INPUT_CUT, *CUTS))
    photos = [photo.path for photo in labelled_photos()[: TURNS * (1 if short else 5)]]
    cells = SHORT if short else CELLS
    with Progress(transient=True) as bar:
        task = bar.add_task("profile", total=None)
        profile = emulated_profile(bundle, photos)
        with _rig(bundle, photos) as rig:
            overhead = overhead_of(profile, rig.ask)
        bar.update(task, total=len(cells), description="links")

        def lane(number: int) -> list[Tried]:
            tried = []
            with _rig(bundle, photos) as rig:
                for cell in cells[number::LANES]:
                    rig.link.change(**cell.link)
                    tried.append(try_cell(cell, profile, overhead, rig.ask))
                    bar.advance(task)
            return tried

        with ThreadPoolExecutor(LANES) as pool:
            tried = [one for found in pool.map(lane, range(LANES)) for one in found]
    errors = [abs(error) for one in tried for error in one.errors.values()]
    figures = {
        "plan.worst_vs_best": max(one.vs_best for one in tried),
        "plan.worst_prediction_error": max(one.choice_error for one in tried),
        "plan.worst_vs_best_unscaled": max(one.unscaled_vs_best for one in tried),
        "plan.worst_prediction_error_unscaled": max(one.unscaled_error for one in tried),
        "plan.slowest_device": max(one.speed for one in tried),
        "plan.fastest_device": min(one.speed for one in tried),
        "plan.mean_prediction_error_of_all": mean(errors),
        "plan.worst_prediction_error_of_all": max(errors),
        "plan.overhead_ms": 1000 * overhead,
        "plan.cells": float(len(tried)),
    }
    return Measured(figures, [row for one in tried for row in one.rows()])


@dataclass(frozen=True, slots=True)
class _Rig:
    """A link, and the emulated device at its end."""

    link: Link
    device: subprocess.Popen[str]

    def ask(self, candidate: Candidate, tasks: Sequence[str], turn: int) -> list[float]:
        """See `cells.Measure`. Raises UnavailableError."""
        assert self.device.stdin is not None
        assert self.device.stdout is not None
        cut = {"edge": "", "split": candidate.cut, "cloud": INPUT_CUT}[candidate.mode]
        wanted = {"cut": cut, "codec": candidate.codec, "tasks": list(tasks), "turn": turn, "turns": TURNS}
        self.device.stdin.write(json.dumps(wanted) + "\n")
        self.device.stdin.flush()
        line = self.device.stdout.readline()
        if not line:
            raise UnavailableError("the device's process ended; its error is above")
        seconds: list[float] = json.loads(line)
        return seconds


@contextmanager
def _rig(bundle: Bundle, photos: Sequence[Path]) -> Iterator[_Rig]:
    """A service and a device, each in a namespace of a link without limits. Raises UnavailableError."""
    with Link(LinkSettings()) as link, (OUT / "server.log").open("a") as log:
        start_service(link, bundle.path, log)
        own = [str(bundle.path), address_of(link), str(SLOWDOWN), *map(str, photos)]
        command = [sys.executable, "-m", "benchmarks.plan.device", *own]
        yield _Rig(link, link.popen("client", command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True))


if __name__ == "__main__":
    main("plan", measure)
