"""The paper's question: how many bytes cross at each depth of the network, and when is sending the photo better?

Every cut of EfficientNet-Lite0 on the demo's 20 photos: float32 features with the best of the paper's four lossless
coders (gzip, zlib, bzip2, LZMA), 8 and 4 bit affine symbols with LZMA, the share of top-1 answers that stay those of
the unsplit network, and the work left to the device, beside the same crops as PNG and as JPEG (quality 90).

With a folder of photos (`--data`) also the calibrated codec at every cut at one fidelity, see
`benchmarks.depth_fidelity`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from statistics import mean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

import featcodec
from benchmarks.depth_fidelity import FixedFidelity, ImageFile, image_in_results, measure_fixed, table
from benchmarks.fidelity.photos import find_photos
from benchmarks.harness import Measured, main
from splitnet.bundle import Bundle
from splitnet.bundle.build import build_bundle
from splitnet.bundle.manifest import Cut
from splitnet.cloud.model import CloudModel
from splitnet.demo.measure import TASK, Reference, references
from splitnet.demo.photos import labelled_photos
from splitnet.edge.encoder import EdgeEncoder
from splitnet.errors import BundleError
from splitnet.models import preprocess

OUT = Path("out/depth")
PAPER = ("gzip:level=9", "zlib:level=9", "bz2", "lzma:preset=9")


@dataclass(frozen=True, slots=True)
class Depth:
    """One cut; bytes are means over photos, whole frames."""

    cut: str
    shape: str
    work: float
    float_bytes: float
    lossless_bytes: float
    lossless_codec: str
    affine8_bytes: float
    affine8_agreement: float
    affine4_bytes: float
    affine4_agreement: float


def measure(short: bool, data: Path | None = None) -> Measured:
    """All cuts (three photos when short); prints the tables and draws out/depth/depth.png."""
    if data is not None:
        find_photos(data, None)  # a mistyped folder is said before the bundle of all cuts is built
    bundle = _bundle(OUT / "bundle")
    found = references(bundle, labelled_photos()[: 3 if short else 20], lambda _: None)
    model = CloudModel(bundle)
    with Progress(transient=True) as progress:
        rows = [_depth(bundle, model, cut, found) for cut in progress.track(bundle.manifest.built_cuts)]
    jpeg = mean(one.jpeg_bytes for one in found)
    png = mean(one.png_bytes for one in found)
    Console(width=110).print(_table(rows, jpeg, png))
    fixed, image = measure_fixed(bundle, data, OUT, short) if data else ([], None)
    if image:
        Console(width=116).print(table(fixed, image, image_in_results()))
    _plot(rows, jpeg, png, OUT / "depth.png", fixed, image)
    figures = {"depth.jpeg_q90.bytes": jpeg, "depth.png.bytes": png}
    for row in rows:
        figures[f"depth.{row.cut}.lossless.bytes"] = row.lossless_bytes
        figures[f"depth.{row.cut}.affine8_lzma.bytes"] = row.affine8_bytes
        figures[f"depth.{row.cut}.affine4_lzma.bytes"] = row.affine4_bytes
    listed = [asdict(row) for row in rows]
    if image:
        figures["depth.fixed.image.bytes_at_kl_040"] = image.found.value
        listed += [one.as_dict(image) for one in fixed]
        for one in (one for one in fixed if isfinite(one.found.value)):
            figures[f"depth.fixed.{one.cut}.bytes_at_kl_040"] = one.found.value
    return Measured(figures, listed)


def _bundle(directory: Path) -> Bundle:
    try:
        bundle = Bundle.load(directory)
        bundle.verify()
    except BundleError:
        bundle = build_bundle("efficientnet-lite0", directory, cuts="all")
    return bundle


def _depth(bundle: Bundle, model: CloudModel, cut: Cut, found: Sequence[Reference]) -> Depth:
    encoder = EdgeEncoder(bundle, cut.name)
    maps = [encoder.features(preprocess.normalise(one.pixels, bundle.manifest.image_input)) for one in found]
    lossless = {coder: mean(len(featcodec.encode(one, f"none|{coder}")) for one in maps) for coder in PAPER}
    best = min(lossless, key=lambda coder: lossless[coder])
    sizes, agreements = {}, {}
    for bits in (8, 4):
        frames = [featcodec.encode(one, f"affine:bits={bits}|lzma") for one in maps]
        heads = model.wanted([TASK])
        top1 = [int(model.answer(heads[0], model.shared(cut, featcodec.decode(frame)))[0].argmax()) for frame in frames]
        sizes[bits] = mean(map(len, frames))
        agreements[bits] = mean(float(mine == theirs.top1) for mine, theirs in zip(top1, found, strict=True))
    return Depth(
        cut.name,
        "x".join(map(str, cut.shape)),
        cut.macs_before / (cut.macs_before + cut.macs_after),
        cut.float_bytes,
        lossless[best],
        best.partition(":")[0],
        sizes[8],
        agreements[8],
        sizes[4],
        agreements[4],
    )


def _table(rows: Sequence[Depth], jpeg: float, png: float) -> Table:
    found = Table(
        title=f"Bytes by depth; the crop as PNG {png:,.0f}, as JPEG q90 {jpeg:,.0f} bytes",
        caption="work: share of the multiply-adds on the device; send: what takes fewer bytes, the lossless features or"
        " the PNG, the 8-bit features or the JPEG",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
    )
    found.add_column("cut", no_wrap=True)
    for name in ("shape", "work", "float32", "lossless", "send", "8 bit", "agree", "send", "4 bit", "agree"):
        found.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        found.add_row(
            row.cut,
            row.shape,
            f"{100 * row.work:.0f} %",
            f"{row.float_bytes:,.0f}",
            f"{row.lossless_bytes:,.0f}",
            "features" if row.lossless_bytes < png else "photo",
            f"{row.affine8_bytes:,.0f}",
            f"{row.affine8_agreement:.2f}",
            "features" if row.affine8_bytes < jpeg else "photo",
            f"{row.affine4_bytes:,.0f}",
            f"{row.affine4_agreement:.2f}",
        )
    return found


def _plot(
    rows: Sequence[Depth],
    jpeg: float,
    png: float,
    path: Path,
    fixed: Sequence[FixedFidelity] = (),
    image: ImageFile | None = None,
) -> None:
    figure = Figure(figsize=(10, 5.6), layout="constrained")
    bytes_, work = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    names = [row.cut for row in rows]
    for label, values, colour in (
        ("float32", [row.float_bytes for row in rows], "#98a2b3"),
        ("float32, best of gzip, zlib, bzip2, LZMA", [row.lossless_bytes for row in rows], "#b42318"),
        ("8 bit, LZMA", [row.affine8_bytes for row in rows], "#2f6cb3"),
        ("4 bit, LZMA", [row.affine4_bytes for row in rows], "#84a9d6"),
    ):
        bytes_.plot(names, values, marker="o", markersize=4, color=colour, label=label)
    lines = [(f"the crop as\nPNG {png:,.0f}", png), (f"the crop as\nJPEG {jpeg:,.0f}", jpeg)]
    if image:
        _plot_fixed(bytes_, fixed)
        lines.append((f"at KL 0.04 as\n{image.label.partition(' ')[0]} {image.found.value:,.0f}", image.found.value))
    for label, value in lines:
        bytes_.axhline(value, color="#1d2939", linestyle="--", linewidth=1)
        beside = bytes_.get_yaxis_transform()
        bytes_.annotate(label, (1, value), xycoords=beside, xytext=(6, 0), textcoords="offset points", va="center")
    bytes_.set_yscale("log")
    bytes_.set_ylabel("bytes a photo (log scale)")
    bytes_.legend(frameon=False, fontsize=9, loc="lower left")
    work.bar(names, [100 * row.work for row in rows], color="#d0d5dd")
    work.set_ylabel("work on the\ndevice, %")
    work.set_xlabel("cut, from the input to the output")
    work.tick_params(axis="x", rotation=60)
    for axes in (bytes_, work):
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#e4e7ec", linewidth=0.6)
        axes.set_axisbelow(True)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _plot_fixed(axes: Axes, fixed: Sequence[FixedFidelity]) -> None:
    measured = [row for row in fixed if isfinite(row.found.value)]
    names = [row.cut for row in measured]
    axes.plot(
        names,
        [row.found.value for row in measured],
        marker="o",
        markersize=5,
        linewidth=2.4,
        color="#12805c",
        label=f"KL 0.04, calibrated (ours), {fixed[0].photos} photos",
    )
    low, high = [row.found.low for row in measured], [row.found.high for row in measured]
    axes.fill_between(names, low, high, color="#12805c", alpha=0.15, linewidth=0)


if __name__ == "__main__":
    main("depth", measure, {"data": "folder of photos: also bytes at equal fidelity, with the calibrated codec"})
