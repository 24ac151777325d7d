"""The demo from start to end: bundle, server, settings, tables, page, results."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from statistics import mean
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from splitnet.bundle import Bundle
from splitnet.demo import page, tables
from splitnet.demo.measure import Lossless, Reference, Row, check_lossless, references, run_setting
from splitnet.demo.photos import LabelledPhoto, labelled_photos
from splitnet.demo.server import server_process
from splitnet.demo.settings import CUTS, LOSSLESS, Setting, settings_of
from splitnet.edge.trace import GRAPHS, medians
from splitnet.errors import BundleError, UsageError
from splitnet.figures import write_results, write_text

NETWORK = "efficientnet-lite0"
TOLERANCE = 1e-5
"""Largest allowed difference of logits with a lossless codec, as a share of the largest logit."""

OVERHEAD_REPEATS = 10


@dataclass(frozen=True, slots=True)
class DemoResults:
    """Everything the demo found out."""

    references: tuple[Reference, ...]
    rows: tuple[Row, ...]
    lossless: Lossless
    labels: tuple[str, ...]

    @property
    def default(self) -> Setting:
        """The setting that the summary is about."""
        return self.rows[0].setting

    @property
    def worst_lossless(self) -> float:
        """Largest difference of logits with a lossless codec, as a share of the largest logit."""
        return self.lossless.worst

    @property
    def lossless_ok(self) -> bool:
        """Whether every lossless codec kept the logits."""
        return self.lossless.worst <= TOLERANCE

    def figures(self) -> dict[str, float]:
        """The flat namespace of figures."""
        trace = medians(self.rows[0].traces)
        found: dict[str, float] = {
            "demo.jpeg_q90.bytes": mean(one.jpeg_bytes for one in self.references),
            "demo.png.bytes": mean(one.png_bytes for one in self.references),
            "demo.unsplit.accuracy": mean(float(one.top1 == one.photo.label) for one in self.references),
            "demo.lossless.worst_difference": self.lossless.worst,
            "demo.lossless.identical_share": self.lossless.identical / self.lossless.compared,
            "demo.overhead_ms": trace["overhead"],
            # The same as a ratio, which a slower machine changes less: to the network's own time in the same run.
            "demo.overhead_vs_network": trace["overhead"] / sum(trace[stage] for stage in GRAPHS),
        }
        for row in self.rows:
            edge, wire, cloud = row.milliseconds()
            found |= {
                f"{row.setting.figure}.bytes": row.bytes,
                f"{row.setting.figure}.agreement": row.agreement(self.references),
                f"{row.setting.figure}.accuracy": row.accuracy(self.references),
                f"{row.setting.figure}.edge_ms": edge,
                f"{row.setting.figure}.wire_ms": wire,
                f"{row.setting.figure}.cloud_ms": cloud,
            }
        return found


def run_demo(
    out: Path, console: Console, photos: Sequence[LabelledPhoto] | None = None, repeats: int = OVERHEAD_REPEATS
) -> DemoResults:
    """Run the demo, print its tables, write `index.html` and `results.json` into `out`.

    `photos` are foolbox's 20 unless given; `repeats` passes over them time the default setting.

    Raises
    ------
    SplitnetError
        whatever stops it, as one line.
    """
    started = time.perf_counter()
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file; give a folder")
    bundle = demo_bundle(out / "bundle", console)
    photos = photos or labelled_photos()
    console.print(f"{len(photos)} photos, cuts {', '.join(CUTS)}, bundle {bundle.fingerprint[:12]}")
    settings = settings_of(bundle)
    steps = len(photos) * (1 + len(settings) + len(CUTS) * len(LOSSLESS))
    columns = (TextColumn("{task.description:<44}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with (
        server_process(bundle.path, out / "server.log") as address,
        Progress(*columns, console=console, transient=True) as progress,
    ):
        console.print(f"server: a process of its own on {address}")
        bar = progress.add_task("starting", total=steps)

        def step(description: str) -> None:
            progress.update(bar, advance=1, description=description)

        found = references(bundle, photos, step)
        rows = [
            run_setting(bundle, address, one, photos, step, repeats if number == 0 else 1)
            for number, one in enumerate(settings)
        ]
        lossless = check_lossless(bundle, address, CUTS, found, step)
    results = DemoResults(tuple(found), tuple(rows), lossless, bundle.labels("classification"))
    tables.print_tables(results, console)
    figures = results.figures()
    written = write_results(out / "results.json", command="splitnet demo", figures=figures, rows=result_rows(results))
    page.write_page(out / "index.html", bundle, results, written)
    seconds = time.perf_counter() - started
    console.print(f"wrote {out / 'index.html'} and {out / 'results.json'} in {seconds:.0f} s")
    return results


def result_rows(results: DemoResults) -> list[Mapping[str, Any]]:
    """One row for each setting and photo."""
    return [
        {
            "cut": row.setting.cut,
            "codec": row.setting.codec,
            "photo": one.photo.path.name,
            "true": one.photo.label,
            "unsplit_top1": one.top1,
            "split_top1": top1,
            "bytes": size,
        }
        for row in results.rows
        for one, top1, size in zip(results.references, row.top1, row.frame_bytes, strict=True)
    ]


def demo_bundle(directory: Path, console: Console | None = None) -> Bundle:
    """The bundle in `directory` if the code that builds bundles has not changed since, else a new one."""
    console = console or Console(quiet=True)
    stamp = directory.with_name("bundle.stamp")
    state = builder_state()
    if stamp.is_file() and stamp.read_bytes() == state.encode():
        try:
            bundle = Bundle.load(directory)
            bundle.verify()
        except BundleError as error:
            console.print(f"building the bundle again: {error}")
        else:
            console.print(f"bundle: {directory} (from an earlier run)")
            return bundle
    from splitnet.bundle.build import build_bundle

    with console.status(f"building a bundle of {NETWORK} (once)"):
        stamp.unlink(missing_ok=True)
        build_bundle(NETWORK, cuts=CUTS, out=directory)
    write_text(stamp, state)
    console.print(f"bundle: {directory} (built now)")
    return Bundle.load(directory)


def builder_state() -> str:
    """SHA-256 of the code that builds bundles, and of the profiles that come with it."""
    digest = hashlib.sha256()
    for package in ("splitnet.models", "splitnet.graph", "splitnet.bundle"):
        _digest(files(package), digest)
    return digest.hexdigest()


def _digest(folder: Traversable, digest: Any) -> None:
    for entry in sorted(folder.iterdir(), key=lambda one: one.name):
        if entry.is_file():
            digest.update(entry.name.encode())
            digest.update(entry.read_bytes())
        elif entry.name != "__pycache__":
            _digest(entry, digest)
