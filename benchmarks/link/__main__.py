"""`python -m benchmarks.link`: is an emulated link what it was asked to be?"""

from __future__ import annotations

from itertools import product
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.harness import Measured, main
from benchmarks.link.cells import ENOUGH, Cell, Effort, measure_cell
from benchmarks.link.delays import frame_errors, jitter_error, loaded_delays

RATES = (0.1e6, 1e6, 10e6, 100e6)
TRIPS = (0.005, 0.080)
LOSSES = (0.0, 0.01, 0.20)

_SHORT = ((1e6, 0.005, 0.0), (100e6, 0.080, 0.0), (10e6, 0.005, 0.20))
_SEED = 1


def measure(short: bool) -> Measured:
    """The grid, and what it does not show."""
    grid = _SHORT if short else tuple(product(RATES, TRIPS, LOSSES))
    cells = []
    for rate, trip, loss in track(grid, description="links", transient=True):
        # Enough packets for the share, where the rate allows them in half a minute.
        seconds = 1.0 if short else (30.0 if loss else 4.0)
        effort = Effort(pings=40, bulk=1.5, train=seconds) if short else Effort(pings=100, bulk=5.0, train=seconds)
        cells.append(measure_cell(rate, trip, loss, effort, _SEED))
    Console().print(_table(cells))
    spread, mean = jitter_error(50 if short else 1000)
    packets = loaded_delays(0.5 if short else 5.0, 20e6, 20_000)
    volume = loaded_delays(0.5 if short else 5.0, 200e6, 200e6 / 8 / 1500)
    figures = {
        "link.worst_rate_error": max(cell.rate_error for cell in cells),
        "link.worst_rtt_error_ms": max(cell.rtt_error for cell in cells) * 1e3,
        "link.worst_rtt_error": max(cell.rtt_error / cell.asked_rtt for cell in cells),
        "link.undecided_losses": float(sum(cell.undecided for cell in cells)),
        "link.jitter_error": spread,
        "link.jitter_mean_error_ms": mean * 1e3,
        "link.delay_error_at_20k_packets": packets[1],
        "link.delay_error_at_200_mbit": volume[1],
        "link.frame_time_error": frame_errors(3 if short else 20, bucket=False),
        "link.frame_time_error_tbf": frame_errors(3 if short else 20, bucket=True),
    }
    if counted := [cell.loss_error for cell in cells if cell.packets >= ENOUGH // 2 or not cell.asked_loss]:
        figures["link.worst_loss_error"] = max(counted)
    loads: list[dict[str, Any]] = [
        {"kind": "load", "packets_a_second": rate, "median_delay_error": found[0], "p99": found[1], "bit_s": found[2]}
        for rate, found in ((20_000, packets), (16_667, volume))
    ]
    return Measured(figures, [*(cell.row() for cell in cells), *loads])


def _table(cells: list[Cell]) -> Table:
    table = Table(title="Links: asked for, and measured", title_justify="left")
    for name in ("Mbit/s", "TCP", "train", "RTT, ms", "is", "loss, %", "is", "sent", "odd"):
        table.add_column(name, justify="right")
    for cell in cells:
        table.add_row(
            f"{cell.rate / 1e6:g}",
            "" if cell.bulk is None else f"{cell.bulk / 1e6:.3g}",
            f"{cell.train / 1e6:.3g}",
            f"{cell.asked_rtt * 1e3:.2f}",
            f"{cell.rtt * 1e3:.2f}",
            f"{cell.asked_loss * 100:g}",
            f"{cell.loss * 100:.2f}",
            f"{cell.packets:,}",
            f"{cell.undecided}",
        )
    return table


if __name__ == "__main__":
    main("link", measure)
