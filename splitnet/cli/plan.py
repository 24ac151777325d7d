"""`splitnet plan`: where to cut, with which codec, for a link."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from splitnet.errors import UsageError

if TYPE_CHECKING:
    from splitnet.bundle import Manifest
    from splitnet.plan.candidate import Mode
    from splitnet.plan.planner import Plan
    from splitnet.plan.profile import Profile


class Objective(StrEnum):
    """What to make as good as can be."""

    latency = "latency"
    bytes = "bytes"
    energy = "energy"
    throughput = "throughput"


class Threads(StrEnum):
    """Which of the profile's times."""

    one = "one"
    many = "many"


def plan(
    bundle: Annotated[Path, typer.Argument(help="The bundle that was profiled; its edge files are enough.")],
    edge_profile: Annotated[Path, typer.Option(help="From `splitnet profile` on the device.")],
    bandwidth: Annotated[float, typer.Option(help="Uplink, Mbit/s.")],
    rtt: Annotated[float, typer.Option(help="Round trip of a small packet, ms.")],
    cloud_profile: Annotated[
        Path | None, typer.Option(help="From `splitnet profile` on the server; the edge's file where it has both.")
    ] = None,
    loss: Annotated[float, typer.Option(help="Share of packets lost, 0 to below 1.")] = 0.0,
    downlink: Annotated[float | None, typer.Option(help="Mbit/s; as the uplink where not given.")] = None,
    min_agreement: Annotated[float | None, typer.Option(help="Least share with the unsplit network's top-1.")] = None,
    max_kl: Annotated[float | None, typer.Option(help="Largest mean KL divergence to its output, nats.")] = None,
    objective: Annotated[Objective, typer.Option(help="What to make best.")] = Objective.latency,
    cloud_load: Annotated[float, typer.Option(help="Utilisation of the worker that answers, 0 to below 1.")] = 0.0,
    tasks: Annotated[str, typer.Option(help="Tasks wanted, with commas between them; all.")] = "",
    cloud_only: Annotated[str, typer.Option(help="Tasks whose heads must not be on devices.")] = "",
    modes: Annotated[str, typer.Option(help="Of edge, split and cloud, those to choose from.")] = "edge,split,cloud",
    edge_threads: Annotated[Threads, typer.Option(help="Threads of the device.")] = Threads.one,
    cloud_threads: Annotated[Threads, typer.Option(help="Threads of the service's worker.")] = Threads.one,
    overhead: Annotated[float, typer.Option(help="What gRPC and the service add, ms; `edge run --trace` tells.")] = 0.0,
    radio: Annotated[float, typer.Option(help="Energy of sending, microjoules a byte.")] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the winning choice by bandwidth and RTT, as PNG.")] = None,
) -> None:
    """Choose cut, codec and mode from two profiles, with the whole table behind the choice."""
    from splitnet.bundle import Bundle
    from splitnet.plan.candidate import Constraints, Link
    from splitnet.plan.planner import plan as choose
    from splitnet.plan.profiled import Wanted, candidates
    from splitnet.plan.table import plan_json

    link = Link(
        bandwidth=1e6 * bandwidth,
        rtt=rtt / 1000,
        loss=loss,
        downlink=None if downlink is None else 1e6 * downlink,
        cloud_load=cloud_load,
        overhead=overhead / 1000,
        radio=radio / 1e6,
    )
    constraints = Constraints(min_agreement, max_kl, _modes(modes))
    opened = Bundle.load(bundle, half="edge")
    found = _merged(opened.fingerprint, edge_profile, cloud_profile or edge_profile)
    wanted = Wanted(_names(tasks), _names(cloud_only), edge_threads.value, cloud_threads.value)
    made = choose(candidates(found, wanted), link, constraints, objective.value)
    if plot is not None:
        if find_spec("matplotlib") is None:
            raise UsageError("--plot needs the package 'matplotlib': pip install matplotlib, or 'splitnet[demo]'")
        from splitnet.plan.plot import draw_plan

        draw_plan(plot, made, _title(found, made))
    if as_json:
        typer.echo(json.dumps(plan_json(made), indent=2))
    else:
        _print(found, made, opened.manifest)
        if plot is not None:
            typer.echo(f"wrote {plot}")


def _merged(fingerprint: str, edge: Path, cloud: Path) -> Profile:
    from splitnet.plan.profile import check_bundle, merge, read_profile

    first, second = read_profile(edge, "edge"), read_profile(cloud, "cloud")
    found = merge(first, second)
    check_bundle(found, fingerprint, str(edge))
    return found


def _print(found: Profile, made: Plan, manifest: Manifest) -> None:
    from rich.console import Console
    from rich.markup import escape

    from splitnet.plan.table import plan_table, summary

    # Piped, a table has the width it needs instead of an assumed terminal's.
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
    console.print(f"{escape(_title(found, made))}\n")
    console.print(plan_table(made))
    console.print(f"\n[bold]{made.objective}[/]: {escape(summary(made))}")
    for note in _notes(found, made, manifest):
        console.print(f"note: {escape(note)}")


def _title(found: Profile, made: Plan) -> str:
    link, constraints = made.link, made.constraints
    parts = [f"{found.network} {found.version}", f"{link.bandwidth / 1e6:g} Mbit/s up"]
    if link.downlink is not None:
        parts.append(f"{link.downlink / 1e6:g} Mbit/s down")
    parts.append(f"round trip {1000 * link.rtt:g} ms")
    if link.loss:
        parts.append(f"loss {link.loss:g}")
    if link.cloud_load:
        parts.append(f"cloud load {link.cloud_load:g}")
    if constraints.min_agreement is not None:
        parts.append(f"agreement ≥ {constraints.min_agreement:g}")
    if constraints.max_kl is not None:
        parts.append(f"KL ≤ {constraints.max_kl:g}")
    if found.edge is not None and found.edge.slowdown != 1:
        parts.append(f"device emulated {found.edge.slowdown:g}x slower")
    return ", ".join(parts)


def _notes(found: Profile, made: Plan, manifest: Manifest) -> list[str]:
    from splitnet.edge.sources import noun

    notes, kind = [], manifest.input.kind
    made_up = "random pictures" if kind == "image" else "random inputs"
    if made.constraints.min_agreement is None and made.constraints.max_kl is None:
        notes.append("nothing bounds the loss of the answers, so that the coarsest codec tends to win; --max-kl does")
    if found.edge is not None and found.edge.photos.kind == "random":
        notes.append(
            f"the edge profile was measured with {made_up}: sizes without a curve are not those of {noun(kind)}"
        )
    if made.choice.candidate.mode == "cloud" and not any(manifest.is_input(cut) for cut in manifest.built_cuts):
        notes.append("this needs the cut input, which the bundle lacks: build it with --cuts input,...")
    return notes


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


def _modes(text: str) -> tuple[Mode, ...]:
    from splitnet.plan.candidate import MODES

    names = _names(text)
    unknown = [name for name in names if name not in MODES]
    if unknown or not names:
        raise UsageError(f"--modes {text!r}: give some of {', '.join(MODES)} with commas between them")
    return tuple(mode for mode in MODES if mode in names)
