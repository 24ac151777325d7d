"""What `splitnet build --edge-precision` does after the float32 bundle is made."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from splitnet.errors import OutputError, UsageError

if TYPE_CHECKING:
    from splitnet.bundle import Bundle
    from splitnet.precision import Precision, PrecisionReport


def build_in(
    precision: Precision, data: Path | None, out: Path, build: Callable[[Path], Bundle], progress: Callable[..., None]
) -> Bundle:
    """`build` a float32 bundle beside `out`, and write it there with edge graphs in `precision`; print what that costs.

    Raises UsageError where there are no photos, and as `splitnet.precision.set_edge_precision`.
    """
    from splitnet.bundle.write import check_target
    from splitnet.edge.sources import photos
    from splitnet.precision import set_edge_precision

    if data is None:
        raise UsageError(f"--edge-precision {precision} needs photos that set ranges and are measured: --data DIR")
    _check_data(str(data))
    check_target(out.resolve())
    try:
        out.resolve().parent.mkdir(parents=True, exist_ok=True)
        work = tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.resolve().parent)
    except OSError as error:
        raise OutputError(f"cannot write the bundle {out}: {error.strerror or error}") from error
    with work as folder:
        whole = build(Path(folder) / "float32")
        found = list(photos([str(data)], "--data", whole.manifest.input.kind))
        bundle, reports = set_edge_precision(whole, precision, found, out=out, progress=progress)
    Console().print(_table(reports))
    return bundle


def _check_data(data: str) -> None:
    """Raise UsageError where there is nothing: better now than after the build, which says what the network takes."""
    from splitnet.edge.sources import photos

    try:
        list(photos([data], "--data", "tensor"))
    except UsageError:
        list(photos([data], "--data"))


def _table(reports: list[PrecisionReport]) -> Table:
    table = Table(title=f"Edge graphs in {reports[0].precision}, {reports[0].photos} photos", title_justify="left")
    table.add_column("cut", no_wrap=True)
    tasks = list(reports[0].distortion)
    for name in ("KB", "of float32", "ms", "of float32"):
        table.add_column(name, justify="right")
    for task in tasks:
        table.add_column(f"{task}: {reports[0].distortion[task][0].replace('_', ' ')}", justify="right")
        if task in reports[0].agreement:
            table.add_column("same top", justify="right")
    for one in reports:
        cells = [
            one.cut,
            f"{one.bytes_after / 1e3:,.0f}",
            f"{one.bytes_after / one.bytes_before:.0%}",
            f"{one.ms_after:.2f}",
            f"{one.ms_after / one.ms_before:.0%}",
        ]
        for task in tasks:
            cells.append(f"{one.distortion[task][1]:.4f}")
            if task in one.agreement:
                cells.append(f"{one.agreement[task]:.0%}")
        table.add_row(*cells)
    return table
