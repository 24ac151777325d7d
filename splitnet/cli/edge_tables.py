"""The daemon's status as tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.table import Table
from rich.text import Text


def tables(status: dict[str, Any]) -> Iterator[Table]:
    """What `/status.json` says, for a terminal."""
    yield _sources(status["sources"])
    yield _servers(status["servers"])
    yield _plans(status["models"])
    yield _rest(status)


def _sources(rows: list[dict[str, Any]]) -> Table:
    table = _table("source", "state", "captured", "cloud", "local", "skipped", "failed", "dropped", "queue", "p50 ms")
    for row in rows:
        recorded, half = row["recorded"], row["latency"]["p50"]
        table.add_row(
            Text(row["name"]),
            row["state"],
            *(str(number) for number in (row["captured"], *(recorded[name] for name in _SHOWN))),
            str(sum(row["dropped"].values())),
            str(row["queue"]),
            _number(half, 1000, "{:.1f}"),
        )
    return table


_SHOWN = ("cloud", "local", "skipped", "failed")


def _servers(rows: list[dict[str, Any]]) -> Table:
    table = _table("server", "state", "Mbit/s", "round trip ms", "queue ms", "last error")
    for row in rows:
        error = row["last_error"]
        table.add_row(
            row["address"],
            row["state"] or "unknown",
            _number(row["bandwidth"], 1e-6, "{:.3g}"),
            _number(row["rtt"], 1000, "{:.1f}"),
            _number(row["queue"], 1000, "{:.1f}"),
            Text("" if error is None else error["text"]),
        )
    return table


def _plans(rows: list[dict[str, Any]]) -> Table:
    table = _table("plan of", "mode", "cut", "codec", "for s", "because")
    for row in rows:
        since = _number(row["since_seconds"], 1, "{:.0f}")
        table.add_row(Text(row["name"]), row["mode"] or "", row["cut"], Text(row["codec"]), since, Text(row["reason"]))
    return table


def _rest(status: dict[str, Any]) -> Table:
    table, spool, totals = _table("", ""), status["spool"], status["totals"]
    table.add_row("ready", "yes" if status["daemon"]["ready"] else "no")
    table.add_row("up for", f"{status['daemon']['uptime_seconds']:.0f} s")
    table.add_row("spool", f"{spool['entries']} frames, {spool['bytes']} bytes")
    if totals["saved"] is not None:
        table.add_row("bytes against JPEG", f"{-100 * totals['saved']:+.0f} %")
    for sink in status["sinks"]:
        failing = f", failing: {sink['last_error']['text']}" if sink["failing"] and sink["last_error"] else ""
        table.add_row(Text(f"sink {sink['name']}"), Text(f"{sink['written']} written, {sink['waiting']} wait{failing}"))
    table.show_header = False
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _number(value: float | None, factor: float, how: str) -> str:
    return "" if value is None else how.format(factor * value)
