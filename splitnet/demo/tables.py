"""The demo's two tables, on the terminal."""

from __future__ import annotations

from statistics import mean
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table

from splitnet.cli.reports import trace_table
from splitnet.demo.settings import CUTS, LOSSLESS
from splitnet.edge.trace import medians

if TYPE_CHECKING:
    from splitnet.demo.main import DemoResults
    from splitnet.demo.measure import Row


def print_tables(results: DemoResults, console: Console) -> None:
    """Per photo, per setting, where the time goes, and how exact lossless codecs are."""
    console.print(photo_table(results))
    console.print(setting_table(results))
    row = results.rows[0]
    console.print(trace_table(medians(row.traces), len(row.traces)))
    lossless = results.lossless
    console.print(
        f"lossless codecs ({len(LOSSLESS)} codecs, {len(CUTS)} cuts, {len(results.references)} photos): split and "
        f"unsplit logits differ by at most {lossless.worst:.1e} of the largest; "
        f"{lossless.identical} of {lossless.compared} are identical to the bit"
    )
    for cut, differences in lossless.by_cut.items():
        exact = sum(value == 0.0 for value in differences)
        console.print(f"  {cut}: worst {max(differences):.1e}, identical {exact} of {len(differences)}")


def photo_table(results: DemoResults) -> Table:
    """One row a photo, for the default setting."""
    row = results.rows[0]
    table = Table(title=f"Photos: cut {row.setting.cut}, codec {row.setting.codec}", title_justify="left")
    for name in ("photo", "true label", "split top-1", "unsplit top-1"):
        table.add_column(name, overflow="ellipsis", no_wrap=True, max_width=26)
    table.add_column("bytes", justify="right")
    for reference, top1, size in zip(results.references, row.top1, row.frame_bytes, strict=True):
        style = "" if top1 == reference.photo.label else "yellow"
        name = reference.photo.path.stem
        words = [results.labels[index].split(",")[0] for index in (reference.photo.label, top1, reference.top1)]
        table.add_row(name, *words, f"{size:,}", style=style)
    return table


def setting_table(results: DemoResults) -> Table:
    """One row a setting, narrow enough for 80 columns."""
    jpeg = mean(one.jpeg_bytes for one in results.references)
    png = mean(one.png_bytes for one in results.references)
    table = Table(
        title=f"Settings: mean of {len(results.references)} photos",
        caption=f"xJPEG, xPNG: times fewer bytes than an image file of the same crop (JPEG q90 {jpeg:,.0f}, PNG "
        f"{png:,.0f} bytes); agree: share with the unsplit network's top-1; acc: share with the true label; "
        "ms: medians on the edge (photo included), on the wire, in the cloud",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
    )
    for name in ("codec", "cut"):
        table.add_column(name, no_wrap=True)
    for name in ("bytes", "xJPEG", "xPNG", "agree", "acc", "edge", "wire", "cloud"):
        table.add_column(name, justify="right", no_wrap=True)
    following = [*(_section(row) for row in results.rows[1:]), ""]
    for row, after in zip(results.rows, following, strict=True):
        edge, wire, cloud = row.milliseconds()
        table.add_row(
            row.setting.short_codec,
            row.setting.cut,
            f"{row.bytes:,.0f}",
            f"{jpeg / row.bytes:.2f}",
            f"{png / row.bytes:.2f}",
            f"{row.agreement(results.references):.2f}",
            f"{row.accuracy(results.references):.2f}",
            f"{edge:.1f}",
            f"{wire:.2f}",
            f"{cloud:.1f}",
            end_section=_section(row) != after,
        )
    return table


def _section(row: Row) -> str:
    """Rows of one codec stand together, and so do a transform's of every step."""
    name = row.setting.codec_name
    return "transform" if name.startswith("transform") else name
