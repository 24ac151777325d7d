"""Edge graphs in fewer bits: how close, how fast, how small, at three cuts of EfficientNet-Lite0.

Half of the photos set the ranges of int8's activations, the other half are measured: mean KL divergence of the class
probabilities from the unsplit float32 network's, share of photos with its top class, time on one core in turns.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.progress import Progress, TaskID

from benchmarks.fidelity.photos import find_photos
from benchmarks.harness import Measured, main
from splitnet.demo.main import demo_bundle
from splitnet.precision import set_edge_precision
from splitnet.precision.apply import PRECISIONS

CUTS = ("block4", "block7", "block10")
MOST, SHORT = 200, 20


def measure(short: bool, data: Path | None = None) -> Measured:
    """On a folder's first photos, the demo's 20 without one."""
    paths = [photo.path for photo in find_photos(data, SHORT if short else MOST)]
    bundle = demo_bundle(Path("out/demo/bundle"))
    figures: dict[str, float] = {"precision.photos": len(paths[1::2])}
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as folder, Progress(transient=True) as bar:
        for precision in PRECISIONS:
            task = bar.add_task(f"edge graphs in {precision}", total=len(CUTS))
            advance = partial(_advance, bar, task)
            _, reports = set_edge_precision(
                bundle,
                precision,
                paths,
                cuts=CUTS,
                out=Path(folder) / precision,
                progress=advance,
            )
            for report in reports:
                name = f"precision.{report.cut}.{precision}"
                figures |= {
                    f"{name}.kl": report.distortion["classification"][1],
                    f"{name}.agreement": report.agreement["classification"],
                    f"{name}.time_vs_float32": report.ms_after / report.ms_before,
                    f"{name}.size_vs_float32": report.bytes_after / report.bytes_before,
                }
                rows.append(asdict(report))
    return Measured(figures, rows)


def _advance(bar: Progress, task: TaskID, _: str, done: int, total: int) -> None:
    bar.update(task, completed=done, total=total)


if __name__ == "__main__":
    main("precision", measure, {"data": "folder of photos"})
