"""What was found as a table, figures and rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import isfinite
from typing import Any

from rich import box
from rich.table import Table

from benchmarks.privacy.attack import Leak, Quality

_MEASURES = ("psnr_db", "ssim", "top1", "retrieval")


def table(leaks: Sequence[Leak], references: Mapping[str, Quality], photos: int) -> Table:
    """All cuts and codecs, above them the references: what no attacker beats, and what needs no features."""
    found = Table(
        title=f"What a small decoder gets back, {photos} photos it did not learn from",
        caption="top-1: the network sees in the reconstruction what it sees in the photo; found: of all test photos,"
        " its own is the nearest to the reconstruction at 28x28; AVIF, JPEG: PSNR / SSIM of a file of at most as many"
        " bytes (–: there is none so small); adapted: the decoder also learned from features behind this codec",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
    )
    found.add_column("cut", no_wrap=True)
    found.add_column("codec", no_wrap=True)
    for name in ("bytes", "PSNR dB", "SSIM", "top-1", "found", "AVIF", "JPEG"):
        found.add_column(name, justify="right", no_wrap=True)
    for label, quality in references.items():
        found.add_row("–", label.replace("_", " "), "", *_cells(quality), "", "")
    for index, one in enumerate(leaks):
        last = index + 1 == len(leaks) or leaks[index + 1].cut != one.cut
        label = one.codec.label + ", adapted" * one.adapted
        files = (_pair(one.files.get(kind)) for kind in ("avif", "jpeg"))
        found.add_row(one.cut, label, f"{one.size:,.0f}", *_cells(one.quality), *files, end_section=last)
    return found


def figures(leaks: Sequence[Leak], references: Mapping[str, Quality], photos: int) -> dict[str, float]:
    """Flat names: `privacy.CUT.CODEC.MEASURE`, `privacy.CUT.CODEC.bytes`, `privacy.CUT.CODEC.avif_psnr_db` ...

    None for the infinite PSNR of the crop itself.
    """
    found: dict[str, float] = {"privacy.photos": photos}
    for name, quality in references.items():
        found |= {f"privacy.{name}.{measure}": getattr(quality, measure) for measure in _MEASURES}
    for one in leaks:
        found |= {f"{one.figure}.{measure}": getattr(one.quality, measure) for measure in _MEASURES}
        found[f"{one.figure}.bytes"] = one.size
        for kind, pair in one.files.items():
            if pair is not None:
                found |= {f"{one.figure}.{kind}_psnr_db": pair[0], f"{one.figure}.{kind}_ssim": pair[1]}
    return {name: float(f"{value:.6g}") for name, value in found.items() if isfinite(value)}


def rows(leaks: Sequence[Leak], references: Mapping[str, Quality]) -> list[dict[str, Any]]:
    """For JSON."""
    found: list[dict[str, Any]] = [{"reference": name} | _finite(quality) for name, quality in references.items()]
    for one in leaks:
        told = {"cut": one.cut, "spec": one.codec.spec, "adapted": one.adapted, "bytes": one.size}
        found.append(told | _finite(one.quality) | {"files": dict(one.files), "profile": one.profile})
    return found


def _finite(quality: Quality) -> dict[str, float | None]:
    """Without the infinite PSNR of a copy, which JSON does not know."""
    return {name: value if isfinite(value) else None for name, value in asdict(quality).items()}


def _cells(quality: Quality) -> list[str]:
    shares = (f"{100 * share:.0f} %" for share in (quality.top1, quality.retrieval))
    psnr = f"{quality.psnr_db:.1f}" if isfinite(quality.psnr_db) else ""
    return [psnr, f"{quality.ssim:.2f}", *shares]


def _pair(pair: tuple[float, float] | None) -> str:
    return "–" if pair is None else f"{pair[0]:.1f} / {pair[1]:.2f}"
