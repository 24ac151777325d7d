"""`python -m benchmarks.faults`: every fault while photos keep coming; nothing promised is lost, nothing comes twice.

A daemon and a service, each in a namespace of an emulated link. Needs root. The full run takes 12 minutes.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from rich.progress import Progress

from benchmarks.faults.faults import FAULTS, mount_small, unmount
from benchmarks.faults.rig import Fault, Rig
from benchmarks.harness import Measured, main
from benchmarks.link import Link, LinkSettings
from splitnet.demo.main import demo_bundle
from splitnet.demo.photos import labelled_photos

PAUSE = 0.1
MEGABYTES = 48


def measure(short: bool) -> Measured:
    """What was lost, what came twice, the most memory. Raises SplitnetError, OSError."""
    bundle = demo_bundle(Path("out/demo/bundle")).path
    photos = [photo.path for photo in labelled_photos()[:10]]
    rows = []
    with Progress(transient=True) as bar:
        task = bar.add_task("faults", total=len(FAULTS))
        for name, fault in FAULTS.items():
            bar.update(task, description=name)
            rows.append(try_fault(name, fault, bundle, photos, short))
            bar.advance(task)
    figures = {
        "edge.faults_lost": float(sum(row["lost"] for row in rows)),
        "edge.faults_twice": float(sum(row["twice"] for row in rows)),
        "edge.faults_rss_mb": max(row["rss_mb"] for row in rows),
        "edge.faults_photos": float(sum(row["photos"] for row in rows)),
    }
    return Measured(figures, rows)


def try_fault(
    name: str, fault: Fault, bundle: Path, photos: list[Path], short: bool, task: str = "classification"
) -> dict[str, Any]:
    """A fault while photos come, then the wait for the last answer. Raises SplitnetError, OSError."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as inbox:
        mount_small(folder, MEGABYTES)
        try:
            settings = LinkSettings(rate_up=10e6, rate_down=10e6, delay=0.01)
            with (
                Link(settings, seed=1) as link,
                Rig(Path(folder), Path(inbox), link, bundle, photos, PAUSE, task) as rig,
            ):
                fault(rig, short)
                rig.stop_photos()
                seconds = rig.wait_until_answered()
                names = Counter(rig.names())
                return {
                    "fault": name,
                    "photos": rig.sent,
                    "lost": rig.sent - len(names),
                    "twice": sum(count - 1 for count in names.values()),
                    "rss_mb": rig.peak,
                    "seconds_to_the_last_answer": seconds,
                }
        finally:
            unmount(folder)


if __name__ == "__main__":
    main("faults", measure)
