"""`python -m benchmarks.plan`: every candidate on every link, beside what the planner predicted.

A device emulated 20 times slower and a service, each in a namespace of an emulated link (`benchmarks.link`). Needs
root, as links do.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from rich.progress import Progress

from benchmarks.harness import Measured, main
from benchmarks.link import Link, LinkSettings
from benchmarks.plan.cells import CELLS, SHORT, Tried, overhead_of, try_cell
from splitnet.bundle import Bundle
from splitnet.bundle.build import INPUT_CUT, build_bundle
from splitnet.demo.photos import labelled_photos
from splitnet.errors import UnavailableError
from splitnet.models import preprocess
from splitnet.plan import Candidate
from splitnet.plan.bench import Bench
from splitnet.plan.measure import Settings
from splitnet.plan.measure_cloud import measure_cloud
from splitnet.plan.measure_edge import measure_edge
from splitnet.plan.profile import Profile
from splitnet.plan.subject import Subject

OUT = Path("out/plan")
CUTS = ("block4", "block7", "block10")
SLOWDOWN = 20.0
STEPS = (1.0, 1.5, 1.75, 2.0, 2.5)
PORT = 50051


def measure(short: bool) -> Measured:
    """How much worse the choices were than the best, and how wrong the predictions. Raises SplitnetError, OSError."""
    OUT.mkdir(parents=True, exist_ok=True)
    bundle = build_bundle("efficientnet-lite0", OUT / "bundle", cuts=(INPUT_CUT, *CUTS))
    photos = [photo.path for photo in labelled_photos()[: 5 if short else 10]]
    cells = SHORT if short else CELLS
    with Progress(transient=True) as bar:
        task = bar.add_task("profile", total=None)
        profile = _profile(bundle, photos)
        bar.update(task, total=len(cells), description="links")
        with Link(LinkSettings()) as link, (OUT / "server.log").open("w") as log:
            address = f"{link.server.address}:{PORT}"
            serve = [sys.executable, "-m", "splitnet", "serve", "--bundle", str(bundle.path), "--listen", address]
            server = link.popen("server", [*serve, "--insecure"], stdout=subprocess.PIPE, stderr=log, text=True)
            assert server.stdout is not None
            if not server.stdout.readline().startswith("serving on "):
                raise UnavailableError(f"the server did not start; {OUT / 'server.log'} says why")
            own = [str(bundle.path), address, str(SLOWDOWN), *map(str, photos)]
            command = [sys.executable, "-m", "benchmarks.plan.device", *own]
            device = link.popen("client", command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

            def ask(candidate: Candidate, tasks: Sequence[str]) -> list[float]:
                return _ask(device, candidate, tasks)

            overhead = overhead_of(profile, ask)
            tried: list[Tried] = []
            for cell in cells:
                link.change(**cell.link)
                tried.append(try_cell(cell, profile, overhead, ask))
                bar.advance(task)
    errors = [abs(error) for one in tried for error in one.errors.values()]
    figures = {
        "plan.worst_vs_best": max(one.vs_best for one in tried),
        "plan.worst_prediction_error": max(one.choice_error for one in tried),
        "plan.mean_prediction_error_of_all": mean(errors),
        "plan.worst_prediction_error_of_all": max(errors),
        "plan.overhead_ms": 1000 * overhead,
        "plan.cells": float(len(tried)),
    }
    return Measured(figures, [row for one in tried for row in one.rows()])


def _profile(bundle: Bundle, photos: Sequence[Path]) -> Profile:
    manifest = bundle.manifest
    image = manifest.image_input
    crops = tuple(
        preprocess.resize_and_crop(preprocess.load_image(photo, short_side=image.resize_short), image)
        for photo in photos
    )
    subject = Subject(image, crops, tuple(photos))

    def silent(*_: object) -> None:
        return

    return Profile(
        network=manifest.name,
        version=manifest.version,
        fingerprint=bundle.fingerprint,
        edge=measure_edge(bundle, subject, Settings(CUTS, Bench(20, SLOWDOWN), STEPS, threads=1), silent),
        cloud=measure_cloud(bundle, subject, Settings(CUTS, Bench(20), STEPS, threads=1), silent),
    )


def _ask(device: subprocess.Popen[str], candidate: Candidate, tasks: Sequence[str]) -> list[float]:
    assert device.stdin is not None
    assert device.stdout is not None
    cut = {"edge": "", "split": candidate.cut, "cloud": INPUT_CUT}[candidate.mode]
    wanted = {"cut": cut, "codec": candidate.codec, "tasks": list(tasks)}
    device.stdin.write(json.dumps(wanted) + "\n")
    device.stdin.flush()
    line = device.stdout.readline()
    if not line:
        raise UnavailableError("the device's process ended; its error is above")
    seconds: list[float] = json.loads(line)
    return seconds


if __name__ == "__main__":
    main("plan", measure)
