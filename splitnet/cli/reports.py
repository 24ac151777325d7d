"""How `splitnet edge run` shows its outcomes: a table with progress, or JSON lines."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from splitnet.edge.run import Outcome
from splitnet.edge.trace import Trace, medians
from splitnet.tasks.results import (
    Classification,
    Custom,
    Detections,
    Embedding,
    Result,
    Score,
    Tensor,
)
from splitnet.tasks.written import as_json


class Report(Protocol):
    """Receives outcomes as they come."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def add(self, outcome: Outcome) -> None: ...

    def finish(self, traces: Sequence[Trace], failed: int) -> None: ...


class TableReport:
    """One row a photo; a progress bar below them on a terminal."""

    def __init__(self, total: int, trace: bool) -> None:
        self._console = Console(soft_wrap=True, highlight=False)
        self._trace = trace
        columns = (TextColumn("photos"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        self._progress = Progress(
            *columns, console=self._console, transient=True, disable=not self._console.is_terminal
        )
        self._task = self._progress.add_task("photos", total=total)

    def __enter__(self) -> Self:
        self._progress.start()
        self._console.print(Text(f"{'photo':<28} {'answer':<44} {'bytes':>7} {'ms':>7}", style="bold"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def add(self, outcome: Outcome) -> None:
        """Print one row."""
        name = _shorten(outcome.path.name, 28)
        if outcome.inference is None:
            self._console.print(Text(f"{name:<28} {outcome.error}", style="red"))
        else:
            answer = "; ".join(summary(result) for result in outcome.inference.results.values())
            total = 1000 * outcome.inference.trace.total
            row = f"{name:<28} {_shorten(answer, 44):<44} {outcome.inference.frame_bytes:>7,} {total:>7.1f}"
            self._console.print(Text(row))
        self._progress.advance(self._task)

    def finish(self, traces: Sequence[Trace], failed: int) -> None:
        """Print the sum, and with --trace where the time went."""
        self._progress.stop()
        tail = f", {failed} without an answer" if failed else ""
        self._console.print(f"{len(traces)} answered{tail}")
        if self._trace and traces:
            self._console.print(trace_table(medians(traces), len(traces)))


class JsonReport:
    """One JSON object a line: `photo` and either `results` or `error`; with --trace a last line of medians."""

    def __init__(self, trace: bool) -> None:
        self._trace = trace

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stdout.flush()

    def add(self, outcome: Outcome) -> None:
        """Print one line."""
        line: dict[str, Any] = {"photo": str(outcome.path)}
        if outcome.inference is None:
            line["error"] = {"type": type(outcome.error).__name__, "message": str(outcome.error)}
        else:
            inference = outcome.inference
            line["results"] = {task: as_json(result) for task, result in inference.results.items()}
            line["frame_bytes"] = inference.frame_bytes
            line["milliseconds"] = round(1000 * inference.trace.total, 3)
            if self._trace:
                line["trace_ms"] = {name: round(1000 * value, 4) for name, value in asdict(inference.trace).items()}
        print(json.dumps(line), flush=True)

    def finish(self, traces: Sequence[Trace], failed: int) -> None:
        """Print the medians, with --trace."""
        if self._trace and traces:
            print(
                json.dumps({"median_ms": {name: round(ms, 4) for name, ms in medians(traces).items()}}),
                flush=True,
            )


def summary(result: Result) -> str:
    """A result in a few words."""
    match result:
        case Classification(top):
            best = top[0]
            return f"{best.label.split(',')[0]} {best.probability:.2f}"
        case Embedding(values):
            return f"{values.size}-d embedding"
        case Tensor(values):
            return f"tensor {'x'.join(str(size) for size in values.shape)}"
        case Score(value, verdict):
            return f"{verdict} {value:.2f}"
        case Detections(boxes):
            return ", ".join(f"{box.label} {box.score:.2f}" for box in boxes[:3]) or "no boxes"
        case Custom(kind):
            return kind


def trace_table(milliseconds: dict[str, float], photos: int) -> Table:
    """Where the time goes: median milliseconds of each stage."""
    words = {
        "photo": "decode and resize the photo",
        "normalise": "normalise",
        "edge_graph": "edge graph",
        "encode": "encode the frame",
        "wire": "wire: gRPC both ways",
        "queue": "queue",
        "decode": "decode the frame",
        "cloud_graph": "cloud graph",
        "heads": "heads (the network's last layers)",
        "post": "results",
        "total": "total",
        "overhead": "overhead: total less photo, graphs and heads",
    }
    table = Table(title=f"Where the time goes, median of {photos} photos", title_justify="left")
    table.add_column("stage")
    table.add_column("ms", justify="right")
    for name, label in words.items():
        table.add_row(label, f"{milliseconds[name]:.3f}", end_section=name in {"post", "total"})
    return table


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
