"""A plan for people and for programs: the whole table behind a choice."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from splitnet.plan.planner import STAGES, Plan, Prediction, why


def plan_table(made: Plan) -> Table:
    """One row a candidate, from best to worst, those that may not be chosen last; milliseconds and bytes on the wire.

    `network` is uplink, round trip, slow start, losses and downlink, `cloud` is queue, decoding, the remaining layers
    and what gRPC and the service add; `of` photos is what agreement and KL were measured on.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "mode", "cut", "codec"):
        table.add_column(heading, no_wrap=True)
    for heading in ("sent", "agree", "KL", "of", "edge", "encode", "network", "cloud", "total ms", "photos/s"):
        table.add_column(heading, justify="right", no_wrap=True)
    energy = any(one.energy is not None for one in made.table)
    if energy:
        table.add_column("mJ", justify="right", no_wrap=True)
    table.add_column("why not", no_wrap=True)
    for one in made.table:
        chosen = one is made.choice
        cells = [*_cells(one), *([_number(None if one.energy is None else 1000 * one.energy, ".3g")] if energy else [])]
        # As text: a cut's name may hold what rich takes for markup.
        row = [Text(cell) for cell in ("→" if chosen else "", *cells, why(one, made))]
        table.add_row(*row, style="bold green" if chosen else "dim" if one.refusal else "")
    return table


def plan_json(made: Plan) -> dict[str, Any]:
    """Everything, in seconds, bytes and bits a second; `why` is empty for the choice, which is the first row."""
    return {
        "objective": made.objective,
        "link": asdict(made.link),
        "constraints": asdict(made.constraints),
        "choice": _row(made.choice, made),
        "table": [_row(one, made) for one in made.table],
    }


def summary(made: Plan) -> str:
    """The choice in one line."""
    one = made.choice
    parts = [f"{1000 * one.latency:,.4g} ms", f"{one.throughput:,.3g} photos/s (limited by {one.bottleneck})"]
    if one.sent:
        parts.insert(1, f"{one.sent:,.0f} bytes on the wire")
    return f"{one.candidate.name}: {', '.join(parts)}"


def _cells(one: Prediction) -> list[str]:
    candidate = one.candidate
    network = one.uplink + one.rtt + one.slow_start + one.losses + one.downlink
    cloud = one.queue + one.decode + one.cloud + one.overhead
    times = (candidate.edge, candidate.encode, network, cloud, one.latency)
    return [
        candidate.mode,
        candidate.cut,
        candidate.codec,
        f"{one.sent:,.0f}" if one.sent else "",
        _number(candidate.agreement, ".3f"),
        _number(candidate.kl, ".4f"),
        f"{candidate.photos:,}" if candidate.photos else "",
        *(f"{1000 * value:,.2f}" for value in times),
        f"{one.throughput:,.2f}",
    ]


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _row(one: Prediction, made: Plan) -> dict[str, Any]:
    candidate = one.candidate
    return {
        "mode": candidate.mode,
        "cut": candidate.cut,
        "codec": candidate.codec,
        "size": candidate.size,
        "agreement": candidate.agreement,
        "kl": candidate.kl,
        "photos": candidate.photos,
        **{stage: getattr(one, stage) for stage in STAGES},
        "latency": one.latency,
        "sent": one.sent,
        "received": one.received,
        "throughput": one.throughput,
        "bottleneck": one.bottleneck,
        "energy": one.energy,
        "allowed": not one.refusal,
        "why": why(one, made),
    }
