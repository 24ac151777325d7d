"""The page's pictures, as data URIs: photos, charts, and feature maps before and after the codec."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from statistics import mean
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import featcodec
from splitnet.bundle.profiles import load_profile
from splitnet.demo.settings import CODECS, CUTS, Setting
from splitnet.edge.encoder import EdgeEncoder
from splitnet.models import preprocess

if TYPE_CHECKING:
    from splitnet.bundle import Bundle
    from splitnet.demo.main import DemoResults
    from splitnet.demo.measure import Reference
    from splitnet.runtime import Array

INK, PALE = "#1d2939", "#d0d5dd"
COLOURS = {"block4": "#84a9d6", "block7": "#2f6cb3", "block10": "#173f6e"}
SHOWN_CODECS = ("affine8_zstd", "affine4_rans", "clip8_rans")
CHANNELS = 12
SCALE = 5


def photo_uri(pixels: Array) -> str:
    """A crop as a JPEG of 160 pixels, which is what the page shows (never what is measured)."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((160, 160), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=88)
    return _uri(buffer.getvalue(), "image/jpeg")


def size_chart(results: DemoResults) -> str:
    """Bytes a photo for every setting, with JPEG and PNG of the same crop as lines."""
    figure = Figure(figsize=(9.5, 5.9), layout="constrained")
    axes = figure.subplots()
    codecs = list(dict.fromkeys(row.setting.codec for row in results.rows))
    height = 0.26
    for offset, cut in enumerate(CUTS):
        rows = [row for row in results.rows if row.setting.cut == cut]
        sizes = [row.bytes for row in rows]
        places = np.array([codecs.index(row.setting.codec) for row in rows]) + (offset - 1) * height
        bars = axes.barh(places, sizes, height * 0.92, color=COLOURS[cut], label=f"cut {cut}")
        labels = axes.bar_label(bars, labels=[f"{size:,.0f}" for size in sizes], padding=3, fontsize=8, color=INK)
        for label in labels:
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.6})
    for name, value in (
        ("JPEG q90", mean(one.jpeg_bytes for one in results.references)),
        ("PNG", mean(one.png_bytes for one in results.references)),
    ):
        axes.axvline(value, color="#b42318", linewidth=1.2, linestyle="--", zorder=1.5)
        axes.text(value, -0.78, f" {name} ", color="#b42318", fontsize=9, ha="left", va="bottom")
    axes.set_yticks(np.arange(len(codecs)), codecs)
    axes.set_ylim(len(codecs) - 0.45, -0.8)
    axes.set_xscale("log")
    axes.margins(x=0.12)
    axes.set_xlabel("bytes a photo, whole frames (log scale)")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9)
    _plain(axes)
    return _svg(figure)


def time_chart(results: DemoResults) -> str:
    """Median milliseconds on the edge, on the wire and in the cloud, for each cut with the codec of its first row."""
    figure = Figure(figsize=(9.5, 2.2), layout="constrained")
    axes = figure.subplots()
    parts = (("edge", "#2f6cb3"), ("wire", "#e8a33d"), ("cloud", "#6a994e"))
    rows = [next(row for row in results.rows if row.setting.cut == cut) for cut in CUTS]
    names = [f"{row.setting.cut}, {row.setting.short_codec}" for row in rows]
    left = np.zeros(len(CUTS))
    for index, (part, colour) in enumerate(parts):
        widths = np.array([row.milliseconds()[index] for row in rows])
        axes.barh(names, widths, 0.6, left=left, color=colour, label=part)
        left += widths
    for place, total in enumerate(left):
        axes.text(total, place, f" {total:.1f}", va="center", fontsize=9, color=INK)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set_xlabel("median milliseconds a photo, one in flight")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9)
    _plain(axes)
    return _svg(figure)


def feature_panels(bundle: Bundle, references: Sequence[Reference], default: Setting) -> list[dict[str, Any]]:
    """For each photo: its strongest channels before the codec, after the default one and `SHOWN_CODECS`, the error."""
    codecs = dict.fromkeys([default.codec, *(CODECS[name] for name in SHOWN_CODECS)])
    shown = {codec: EdgeEncoder(bundle, default.cut, codec) for codec in codecs}
    encoder = shown[default.codec]
    profiles = {}
    if encoder.cut.transform is not None:
        profile = load_profile(bundle, encoder.cut)
        profiles[profile.fingerprint] = profile
    panels = []
    for reference in references:
        features = encoder.features(preprocess.normalise(reference.pixels, bundle.manifest.image_input))
        strongest = np.sort(np.argsort(-features[0].std(axis=(1, 2)), kind="stable")[:CHANNELS])
        low, high = np.percentile(features[0, strongest], (1, 99))
        rows = [{"name": "before", "bytes": features.nbytes, "error": None, "picture": ""}]
        rows[0]["picture"] = _tiles(features[0, strongest], low, high)
        for codec, coder in shown.items():
            frame = coder.compress(features)
            decoded = featcodec.decode(frame, profiles=profiles)
            error = float(np.sqrt(np.mean((decoded - features) ** 2)) / features.std())
            picture = _tiles(decoded[0, strongest], low, high)
            rows.append({"name": codec, "bytes": len(frame), "error": error, "picture": picture})
        panels.append({"photo": photo_uri(reference.pixels), "name": reference.photo.path.stem, "rows": rows})
    return panels


def _tiles(channels: Array, low: float, high: float) -> str:
    """Channels (C, H, W) side by side in false colour, every pixel enlarged without smoothing."""
    scaled = np.clip((channels - low) / max(high - low, 1e-12), 0.0, 1.0)
    gap = np.full((channels.shape[1], 1), np.nan)
    strip = np.concatenate([part for channel in scaled for part in (channel, gap)][:-1], axis=1)
    coloured = mpl.colormaps["viridis"](np.ma.masked_invalid(strip), bytes=True)
    coloured[np.isnan(strip)] = (0, 0, 0, 0)
    picture = Image.fromarray(coloured)
    picture = picture.resize((picture.width * SCALE, picture.height * SCALE), Image.Resampling.NEAREST)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return _uri(buffer.getvalue(), "image/png")


def _plain(axes: Any) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(left=False, colors=INK, labelsize=9)
    axes.grid(axis="x", color=PALE, linewidth=0.6)
    axes.set_axisbelow(True)


def _svg(figure: Figure) -> str:
    buffer = io.BytesIO()
    with mpl.rc_context({"svg.hashsalt": "splitnet", "svg.fonttype": "path"}):
        figure.savefig(buffer, format="svg", metadata={"Date": None})
    return _uri(buffer.getvalue(), "image/svg+xml")


def _uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
