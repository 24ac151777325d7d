"""`splitnet inspect`: what is in a bundle, and where else its network could be cut."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from splitnet.cli.inspect_transform import print_transform, transform_report
from splitnet.graph.sides import joined

if TYPE_CHECKING:
    from splitnet.bundle import Bundle
    from splitnet.bundle.manifest import ImageInput, TensorInput
    from splitnet.plan.pareto import Cost


def inspect(
    directory: Annotated[Path, typer.Argument(help="A bundle.")],
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
    show_all: Annotated[bool, typer.Option("--all", help="Every cut, also those that never pay.")] = False,
) -> None:
    """Show a bundle's cuts with the size of what crosses and the work before and after, its tasks and its
    input, and of calibrated cuts the profile and its rate-fidelity curve.

    A cut is dominated where another has neither more bytes nor more work on the edge. Calibrated cuts are compared by
    measured bytes at their default steps, cuts that are not calibrated with all others by bytes of floats. Dominated
    cuts that were not built are left out.
    """
    from splitnet.bundle import Bundle

    bundle = Bundle.load(directory)
    # Showing figures of an altered bundle as if they were its own would mislead.
    bundle.verify()
    if as_json:
        typer.echo(json.dumps(_report(bundle), indent=2))
    else:
        _print(bundle, show_all)


def _costs(bundle: Bundle) -> list[Cost]:
    from splitnet.plan.curves import coded_bytes
    from splitnet.plan.pareto import Cost

    cuts = bundle.manifest.cuts
    return [Cost(cut.name, cut.float_bytes, cut.macs_before, coded_bytes(bundle, cut)) for cut in cuts]


def _report(bundle: Bundle) -> dict[str, Any]:
    from splitnet.plan.pareto import dominators

    manifest, costs = bundle.manifest, _costs(bundle)
    beaten = dominators(costs)
    return {
        "name": manifest.name,
        "version": manifest.version,
        "source": manifest.source,
        "fingerprint": bundle.fingerprint,
        "input": manifest.input.model_dump(mode="json"),
        "tasks": [
            {"name": task.name, "kind": task.kind, "output": task.output, "labels": len(bundle.labels(task.name))}
            for task in manifest.tasks
        ],
        "cuts": [
            {
                "name": cut.name,
                "tensor": cut.tensor,
                "shape": list(cut.shape),
                **({"free": list(cut.free)} if cut.free else {}),
                "more": [one.model_dump(mode="json") for one in cut.more],
                "dtype": cut.dtype,
                "values": cut.values,
                "float_bytes": cut.float_bytes,
                "macs_before": cut.macs_before,
                "macs_after": cut.macs_after,
                "built": cut.edge is not None,
                "coded_bytes": cost.coded_bytes,
                "dominated": cut.name in beaten,
                "dominated_by": beaten.get(cut.name),
                **({} if cut.transform is None else {"transform": transform_report(bundle, cut)}),
            }
            for cut, cost in zip(manifest.cuts, costs, strict=True)
        ],
    }


def _print(bundle: Bundle, show_all: bool) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from splitnet.bundle.sizes import shape_text
    from splitnet.plan.pareto import dominators

    manifest = bundle.manifest
    # Piped, a table has the width it needs instead of an assumed terminal's.
    console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 200)
    spec = manifest.input
    console.print(f"[bold]{escape(manifest.name)}[/] {manifest.version}   {escape(manifest.source)}")
    console.print(f"fingerprint {bundle.fingerprint}")
    console.print(f"input {escape(spec.tensor)}: {_described(spec)}")
    for task in manifest.tasks:
        labels = len(bundle.labels(task.name))
        known = f", {labels} labels" if labels else ""
        console.print(f"task {escape(task.name)}: {escape(task.kind)} of {escape(task.output)}{known}")
    costs = {cost.name: cost for cost in _costs(bundle)}
    beaten = dominators(list(costs.values()))
    shown = [cut for cut in manifest.cuts if show_all or cut.edge is not None or cut.name not in beaten]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("cut", "built", "shape"):
        table.add_column(heading, no_wrap=True)
    for heading in ("values", "bytes", "M mult-adds before", "after"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("dominated by", no_wrap=True)
    for cut in shown:
        table.add_row(
            escape(cut.name),
            "yes" if cut.edge is not None else "",
            " + ".join(shape_text(one) for one in cut.crossing),
            f"{cut.values:,}",
            f"{cut.float_bytes:,}",
            f"{cut.macs_before / 1e6:,.1f}",
            f"{cut.macs_after / 1e6:,.1f}",
            escape(beaten.get(cut.name, "")),
        )
    console.print(table)
    best = ", ".join(name + _coded(cost) for name, cost in costs.items() if name not in beaten)
    console.print(f"not dominated (no other cut has both fewer bytes and less edge work): {escape(best)}")
    if len(shown) < len(manifest.cuts):
        hidden = len(manifest.cuts) - len(shown)
        console.print(f"{hidden} more with --all: for each, a cut above has no more bytes and no more edge work")
    for cut in manifest.calibrated_cuts:
        print_transform(console, bundle, cut)


def _described(spec: ImageInput | TensorInput) -> str:
    if spec.kind == "tensor":
        return f"float32 {joined(spec.shape)}, values as they are"
    free = f", any size in steps of {spec.multiple}" if spec.multiple else ""
    return (
        f"short side {spec.resize_short} ({spec.interpolation}), centre {spec.height}x{spec.width}{free}, mean"
        f" {_numbers(spec.mean)}, std {_numbers(spec.std)}"
    )


def _coded(cost: Cost) -> str:
    return "" if cost.coded_bytes is None else f" ({cost.coded_bytes:,.0f} bytes coded)"


def _numbers(values: tuple[float, ...]) -> str:
    distinct = values[:1] if len(set(values)) == 1 else values
    return ",".join(f"{value:g}" for value in distinct)
