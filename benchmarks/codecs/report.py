"""The rows as tables: on the terminal, as CSV, as LaTeX, and as a page with plots."""

from __future__ import annotations

import base64
import csv
import io
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, StrictUndefined
from matplotlib.figure import Figure
from rich import box
from rich.table import Table

from benchmarks.codecs.measure import Row
from splitnet.figures import write_text

COLOURS = {"paper": "#b42318", "general": "#e8a33d", "picture": "#6a994e", "ours": "#2f6cb3"}
GROUPS = {"paper": "the paper's four", "general": "general", "picture": "pictures of tiled channels", "ours": "ours"}
_PAGE = Path(__file__).with_name("page.html.j2")


def sections(rows: Iterable[Row]) -> list[tuple[str, list[Row]]]:
    """Rows by tensor and kind, in the order measured."""
    return [(f"{key[0]}, {key[1]}", list(found)) for key, found in groupby(rows, lambda row: (row.tensor, row.kind))]


def smallest(rows: Sequence[Row]) -> Row | None:
    """The row with the fewest bits; None where nothing was measured."""
    return min(
        (row for row in rows if row.bits_per_value is not None), key=lambda row: row.bits_per_value or 0, default=None
    )


def terminal_table(title: str, rows: Sequence[Row]) -> Table:
    """One tensor and kind."""
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("codec", no_wrap=True)
    for name in ("bits a value", "encode Mval/s", "decode Mval/s"):
        table.add_column(name, justify="right")
    best = smallest(rows)
    for row in rows:
        style = "bold" if row is best else ""
        if row.note:
            table.add_row(row.codec, f"not measured: {row.note}", style="dim")
        else:
            numbers = (f"{row.bits_per_value:.3f}", f"{row.encode_mvalues_s:.1f}", f"{row.decode_mvalues_s:.1f}")
            table.add_row(row.codec, *numbers, style=style)
    return table


def write_csv(path: Path, rows: Sequence[Row]) -> None:
    """Raises OutputError."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(rows[0].as_dict()), lineterminator="\n")
    writer.writeheader()
    writer.writerows(row.as_dict() for row in rows)
    write_text(path, buffer.getvalue())


def write_latex(path: Path, rows: Sequence[Row]) -> None:
    """A `tabular` of bits a value: codecs down, tensors across. Raises OutputError."""
    columns = list(dict.fromkeys((row.tensor, row.kind) for row in rows))
    bits = {(row.codec, row.tensor, row.kind): row.bits_per_value for row in rows}
    lines = [r"\begin{tabular}{l" + "r" * len(columns) + "}", r"\hline"]
    lines.append(" & ".join(["codec", *(_tex(f"{tensor} {kind}") for tensor, kind in columns)]) + r" \\ \hline")
    for codec in dict.fromkeys(row.codec for row in rows):
        values = [bits.get((codec, *column)) for column in columns]
        lines.append(" & ".join([_tex(codec), *("--" if one is None else f"{one:.3f}" for one in values)]) + r" \\")
    write_text(path, "\n".join([*lines, r"\hline", r"\end{tabular}", ""]))


def write_page(path: Path, rows: Sequence[Row], written: dict[str, object]) -> None:
    """Raises OutputError."""
    parts = []
    for title, found in sections(rows):
        best = smallest(found)
        parts.append((title, _plot(found), [(row, row is best) for row in found]))
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_PAGE.read_text(encoding="utf-8"))
    write_text(path, template.render(sections=parts, groups=GROUPS, **written))


def _plot(rows: Sequence[Row]) -> str:
    """Bits a value over encoding speed; a point's number is that of its row in the table."""
    figure = Figure(figsize=(9.2, 3.6), layout="constrained")
    axes = figure.subplots()
    points = [
        (number, row.encode_mvalues_s, row.bits_per_value, row.group)
        for number, row in enumerate(rows, start=1)
        if row.encode_mvalues_s is not None and row.bits_per_value is not None
    ]
    for group, colour in COLOURS.items():
        found = [(speed, bits) for _, speed, bits, kind in points if kind == group]
        if found:
            speeds, bits_per_value = zip(*found, strict=True)
            axes.scatter(speeds, bits_per_value, color=colour, s=42, label=GROUPS[group], zorder=3)
    axes.set_xscale("log")
    axes.margins(x=0.08, y=0.14)
    figure.draw_without_rendering()
    taken: list[tuple[float, float]] = []
    for number, speed, bits, _ in points:
        x, y = (float(value) for value in axes.transData.transform((speed, bits)))
        # The nearest of a few places around the point where no other label stands.
        free = [spot for spot in _SPOTS if all(_apart((x + spot[0], y + spot[1]), other) for other in taken)]
        spot = (free or _SPOTS)[0]
        taken.append((x + spot[0], y + spot[1]))
        axes.annotate(
            str(number), (speed, bits), textcoords="offset pixels", xytext=spot, fontsize=8, ha="center", va="center"
        )
    axes.set_xlabel("encoding, million values a second (log scale)")
    axes.set_ylabel("bits a value")
    axes.grid(color="#e4e7ec", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), frameon=False, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


_SPOTS = [(x, y) for radius in (13, 25, 37) for x, y in ((radius, 0), (0, radius), (-radius, 0), (0, -radius))]
"""Offsets of a label from its point, in pixels, nearest first."""


def _apart(one: Sequence[float], other: Sequence[float]) -> bool:
    return abs(one[0] - other[0]) > 15 or abs(one[1] - other[1]) > 11


def _tex(text: str) -> str:
    for character in "_%&#":
        text = text.replace(character, "\\" + character)
    return text.replace("|", r"\textbar{}")
