"""The published rate-fidelity figures as tables, for who asks another benchmark for them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from benchmarks.fidelity.curves import LEVELS
from benchmarks.harness import RESULTS

RERUN = "measure it with: python -m benchmarks.fidelity --data FOLDER --cut block4,block7,block10"


def published_tables(path: Path = RESULTS / "fidelity.json") -> Iterator[Table | str]:
    """One table a cut, then how to measure it; only the latter where nothing is published."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        rows = [one for one in document["rows"] if one["table"] == "methods" and "note" not in one]
        for cut in dict.fromkeys(one["cut"] for one in rows):
            title = f"Rate and fidelity at {cut}, commit {document['commit']}: bytes a photo at KL divergence in nats"
            yield _table(title, [one for one in rows if one["cut"] == cut])
    except (OSError, ValueError, KeyError):
        yield "Rate and fidelity: nothing published yet"
    yield RERUN


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False)
    table.add_column("method", no_wrap=True)
    for level in LEVELS:
        table.add_column(f"KL {level:g}", justify="right", no_wrap=True)
    for row in rows:
        sizes = [row[f"bytes_at_kl_{1000 * level:03.0f}"][0] for level in LEVELS]
        style = "bold" if row["group"] == "ours" else ""
        table.add_row(row["label"], *("–" if one is None else f"{one:,.0f}" for one in sizes), style=style)
    return table
