"""The rows as tables: on the terminal, as CSV, as LaTeX, and as a page with plots."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from rich import box
from rich.table import Table

from benchmarks.fidelity.curves import LEVELS, Interval
from benchmarks.fidelity.methods import GROUPS
from benchmarks.fidelity.results import Row
from benchmarks.fidelity.selection import PHOTOS, SECONDS, VIDEO_SECONDS, Trial
from splitnet.figures import write_text

_PAGE = Path(__file__).with_name("page.html.j2")


@dataclass(frozen=True, slots=True)
class Section:
    """One cut: rows of methods, rows of settings, the plot's data URL."""

    cut: str
    rows: Sequence[Row]
    settings: Sequence[Mapping[str, Any]]
    plot: str


def number(value: float, form: str = ",.0f") -> str:
    """A number, or a dash where there is none."""
    return format(value, form) if isfinite(value) else "–"


def interval(one: Interval, form: str = ",.0f") -> str:
    """The 95 % interval, or nothing."""
    return f"{one.low:{form}} to {one.high:{form}}" if isfinite(one.low) else ""


def smallest(rows: Sequence[Row], level: int) -> Row | None:
    """The row with the fewest bytes at a level (an index into LEVELS)."""
    found = [row for row in rows if row.bytes_at and isfinite(row.bytes_at[level].value)]
    return min(found, key=lambda row: row.bytes_at[level].value, default=None)


def terminal_table(title: str, rows: Sequence[Row]) -> Table:
    """One cut."""
    table = Table(
        title=title,
        caption="bytes at KL divergence (nats) to the unsplit network; BD-rate: bytes at equal KL against JPEG and"
        " against the best other row; – : not reached, or curves that do not overlap",
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        show_edge=False,
    )
    table.add_column("method", no_wrap=True)
    for level in LEVELS:
        table.add_column(f"KL {level:g}", justify="right", no_wrap=True)
    for name in ("vs JPEG", "vs best", "edge ms", "decode ms"):
        table.add_column(name, justify="right", no_wrap=True)
    best = smallest(rows, LEVELS.index(0.04))
    for row in rows:
        if row.note:
            table.add_row(row.label, f"not measured: {row.note}", style="dim")
            continue
        table.add_row(
            row.label,
            *(number(one.value) for one in row.bytes_at),
            *(
                number(one.value, "+.1f") + (" %" if isfinite(one.value) else "")
                for one in (row.bd_anchor, row.bd_best)
            ),
            number(row.edge_ms, ".1f"),
            number(row.decode_ms, ".1f"),
            style="bold" if row is best else "",
        )
    return table


def write_csv(path: Path, settings: Sequence[Mapping[str, Any]]) -> None:
    """Every setting of every method and cut. Raises OutputError."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, fieldnames=list(settings[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(settings)
    write_text(path, buffer.getvalue())


def write_latex(path: Path, sections: Sequence[Section]) -> None:
    """A `tabular`: methods down, bytes at the levels of KL and BD-rates across. Raises OutputError."""
    lines = [r"\begin{tabular}{ll" + "r" * (len(LEVELS) + 2) + "}", r"\hline"]
    heads = ["cut", "method", *(f"KL {level:g}" for level in LEVELS), "vs JPEG", "vs best"]
    lines.append(" & ".join(heads) + r" \\ \hline")
    for section in sections:
        for row in (row for row in section.rows if not row.note):
            values = [_dash(one.value, ",.0f") for one in row.bytes_at]
            values += [
                _dash(one.value, "+.1f") + (r" \%" if isfinite(one.value) else "")
                for one in (row.bd_anchor, row.bd_best)
            ]
            lines.append(" & ".join([section.cut, _tex(row.label), *values]) + r" \\")
    write_text(path, "\n".join([*lines, r"\hline", r"\end{tabular}", ""]))


def write_page(
    path: Path, sections: Sequence[Section], trials: Sequence[Trial], photos: int, written: Mapping[str, Any]
) -> None:
    """Raises OutputError."""
    template = Environment(autoescape=True, undefined=StrictUndefined).from_string(_PAGE.read_text(encoding="utf-8"))
    text = template.render(
        sections=[(one, smallest(one.rows, LEVELS.index(0.04))) for one in sections],
        trials=trials,
        parts=[min(count, photos) for count in PHOTOS],
        limits=(SECONDS, VIDEO_SECONDS),
        photos=photos,
        levels=LEVELS,
        groups=GROUPS,
        number=number,
        interval=interval,
        **written,
    )
    write_text(path, text)


def _dash(value: float, form: str) -> str:
    return format(value, form) if isfinite(value) else "--"


def _tex(text: str) -> str:
    for character in "_%&#":
        text = text.replace(character, "\\" + character)
    return text
