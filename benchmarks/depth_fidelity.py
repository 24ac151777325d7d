"""Bytes by depth at equal fidelity: the calibrated codec at every cut where a profile fits, beside the best image file.

Bytes at KL 0.04. Profiles are cross-fitted: no photo is coded with one that was calibrated on it. Features and images
are measured on the same photos, every tenth of the folder's, because KL is heavy-tailed and few photos differ from
all by more than methods differ; with two gradients a photo instead of four, all cuts take about as long as two of the
rate-fidelity benchmark. Its intervals are wider for both reasons.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from math import isfinite, log
from pathlib import Path
from typing import Any

from rich import box
from rich.progress import Progress
from rich.table import Table

from benchmarks.fidelity import images
from benchmarks.fidelity.calibrated import Transform, calibrate
from benchmarks.fidelity.curves import Interval, resamples
from benchmarks.fidelity.measure import Point, Store
from benchmarks.fidelity.methods import Missing, PhotoMethod
from benchmarks.fidelity.network import Network, Subject
from benchmarks.fidelity.photos import find_photos, load_crops
from benchmarks.fidelity.results import WORKING_LEVEL, Curve
from benchmarks.fidelity.run import DEFAULTS
from benchmarks.harness import RESULTS
from splitnet.bundle import Bundle
from splitnet.bundle.manifest import Cut
from splitnet.runtime import Array

EVERY = 10
MIN_PHOTOS = 20
MAX_CHANNELS = 320
"""A profile holds a matrix of channels by channels for each band: beyond, it is larger than the network's first half,
and some hundred photos do not determine it."""
DRAWS = 2
LADDER = (0.25, 0.35, 0.5, 0.7, 1.0, 1.25, 1.5, 1.75, 2.0, 2.5, 3.0, 4.0, 5.0, 7.0, 10.0)
FIRST = 2.0


@dataclass(frozen=True, slots=True)
class FixedFidelity:
    """One cut at KL 0.04: mean bytes of whole frames with the 95 % interval, and milliseconds of the device."""

    cut: str
    shape: str
    work: float
    photos: int
    found: Interval = field(default_factory=lambda: Interval(float("nan")))
    edge_ms: float = float("nan")
    decode_ms: float = float("nan")
    step: float = float("nan")
    note: str = ""

    def as_dict(self, image: ImageFile) -> dict[str, Any]:
        """For JSON, with what it is compared to."""
        row = {"table": "fixed_fidelity"} | {key: value for key, value in asdict(self).items() if key != "found"}
        row |= {"bytes": self.found.value, "low": self.found.low, "high": self.found.high}
        row |= {"image": image.label, "image_bytes": image.found.value, "send": send(self, image)}
        return {key: None if isinstance(value, float) and not isfinite(value) else value for key, value in row.items()}


@dataclass(frozen=True, slots=True)
class ImageFile:
    """The image format with the fewest bytes at KL 0.04 on these photos; `ms` are the device's for its encoder."""

    label: str
    found: Interval
    ms: float


def send(row: FixedFidelity, image: ImageFile) -> str:
    """What takes fewer bytes; where the intervals overlap, either."""
    if not isfinite(row.found.value):
        return "photo"
    if row.found.high >= image.found.low and row.found.low <= image.found.high:
        return "either"
    return "features" if row.found.value < image.found.value else "photo"


def measure_fixed(bundle: Bundle, data: Path, folder: Path, short: bool) -> tuple[list[FixedFidelity], ImageFile]:
    """All built cuts of a bundle, kept in `folder` as they are done (three cuts and the first photos when short).

    Raises
    ------
    UsageError, BundleError, ModelError, ImageError, OutputError
    """
    found = find_photos(data, None)
    photos = found[:MIN_PHOTOS] if short else found[:: max(1, min(EVERY, len(found) // MIN_PHOTOS))]
    crops = load_crops(photos, bundle.manifest.image_input)
    network, store, weights = Network(bundle), Store(folder / "cache"), resamples(len(crops))
    pixels = network.pixels(crops)
    image = _best_image(pixels, store, weights)
    rows = []
    for cut in bundle.manifest.built_cuts[:: 6 if short else 1]:
        shape, work = "x".join(map(str, cut.shape)), cut.macs_before / (cut.macs_before + cut.macs_after)
        if why := _unfit(cut):
            rows.append(FixedFidelity(cut.name, shape, work, len(photos), note=why))
            continue
        profiles = calibrate(bundle, cut.name, [one.path for one in photos], folder / "calibration", DRAWS).crossfit
        subject = network.features(cut.name, crops, pixels.references)
        ours = Transform("transform", "ours: transform, rans", "transform:step={}|rans", profiles)
        curve = Curve(ours, _around(ours, subject, store), subject.edge_ms)
        point = curve.points[curve.working()]
        rows.append(
            FixedFidelity(
                cut.name,
                shape,
                work,
                len(photos),
                curve.bytes_at(WORKING_LEVEL, weights),
                subject.edge_ms + point.median("encode_ms"),
                point.median("decode_ms"),
                float(curve.working()),
            )
        )
    return rows, image


def _unfit(cut: Cut) -> str:
    if len(cut.shape) != 3:
        return "a vector: no blocks for the transform, and all layers are on the device"
    return f"{cut.shape[0]} channels: too large a profile" if cut.shape[0] > MAX_CHANNELS else ""


def _best_image(pixels: Subject, store: Store, weights: Array) -> ImageFile:
    """Of the variants that the rate-fidelity benchmark takes where it compares none."""
    curves = []
    methods = [one for one in images.variants() if one.label in DEFAULTS and not isinstance(one, Missing)]
    with Progress(transient=True) as progress:
        bar = progress.add_task("image files", total=sum(len(one.settings) for one in methods))
        for method in methods:
            points = {}
            for setting in method.settings:
                points[setting] = store.point(method, setting, pixels, lambda: None)
                progress.advance(bar)
            curves.append(Curve(method, points))
    sizes = [(one.bytes_at(WORKING_LEVEL, weights), one) for one in curves]
    found, best = min(sizes, key=lambda pair: pair[0].value if isfinite(pair[0].value) else float("inf"))
    return ImageFile(best.method.label, found, best.points[best.working()].median("encode_ms"))


def image_in_results() -> ImageFile | None:
    """The best image file at KL 0.04 of the published rate-fidelity figures, if they are there."""
    try:
        rows = json.loads((RESULTS / "fidelity.json").read_text(encoding="utf-8"))["rows"]
        methods = [one for one in rows if one["table"] == "methods" and one["group"] == "image" and "note" not in one]
        reached = [(one["bytes_at_kl_040"], one) for one in methods if one["bytes_at_kl_040"][0] is not None]
        ends, row = min(reached, key=lambda pair: float(pair[0][0]))
    except (OSError, ValueError, KeyError):
        return None
    return ImageFile(row["label"], Interval(*(float("nan") if end is None else end for end in ends)), row["edge_ms"])


def _around(ours: PhotoMethod, subject: Subject, store: Store) -> dict[str, Point]:
    """The steps next to KL 0.04, and one more on both sides for the interval's ends."""
    points: dict[int, Point] = {}
    with Progress(transient=True) as progress:
        bar = progress.add_task(f"{subject.name}: steps", total=None)

        def loss(index: int) -> float:
            if index not in points:
                points[index] = store.point(ours, f"{LADDER[index]:g}", subject, lambda: progress.advance(bar))
            return log(max(float(points[index].kl.mean()), 1e-9) / WORKING_LEVEL)

        index = LADDER.index(FIRST)
        while loss(index) > 0 and index > 0:
            index -= 1
        while loss(index) <= 0 and index < len(LADDER) - 1:
            index += 1
        for beside in (index - 2, index - 1, index + 1):
            if 0 <= beside < len(LADDER):
                loss(beside)
    return {f"{LADDER[index]:g}": points[index] for index in sorted(points, reverse=True)}


def table(rows: Sequence[FixedFidelity], image: ImageFile, everywhere: ImageFile | None) -> Table:
    """On the terminal."""
    beside = f"; of all the folder's photos, {everywhere.label} {everywhere.found.value:,.0f}" if everywhere else ""
    found = Table(
        title=f"Bytes at KL {WORKING_LEVEL:g}, {rows[0].photos} photos; the crop as {image.label}"
        f" {image.found.value:,.0f} ({image.found.low:,.0f} to {image.found.high:,.0f}) bytes{beside}",
        caption="work: share of the multiply-adds on the device; edge ms: edge graph and codec, processor time"
        f" ({image.ms:.1f} ms for the image file); either: the 95 % intervals overlap",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
    )
    found.add_column("cut", no_wrap=True)
    for name in ("shape", "work", "bytes", "95 %", "of the image", "edge ms", "send"):
        found.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        head = (row.cut, row.shape, f"{100 * row.work:.0f} %")
        if row.note or not isfinite(row.found.value):
            found.add_row(*head, "–", "", "", "", "", style="dim")
            continue
        found.add_row(
            *head,
            f"{row.found.value:,.0f}",
            f"{row.found.low:,.0f} to {row.found.high:,.0f}",
            f"{row.found.value / image.found.value:.2f}",
            f"{row.edge_ms:.1f}",
            send(row, image),
        )
    return found
