"""`splitnet profile`: what a bundle's cuts take on this machine."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from splitnet.errors import UsageError

if TYPE_CHECKING:
    from splitnet.edge.sources import Kind
    from splitnet.plan.profile import CloudHalf, EdgeHalf, Profile


class Half(StrEnum):
    """Which half this machine would run."""

    edge = "edge"
    cloud = "cloud"
    both = "both"


def profile(
    bundle: Annotated[Path, typer.Argument(help="A bundle; for --half edge its edge files are enough.")],
    out: Annotated[Path, typer.Option(help="The JSON file to write.")],
    half: Annotated[Half, typer.Option(help="What this machine would run.")] = Half.both,
    cuts: Annotated[str, typer.Option(help="Names with commas between them; all built cuts of the bundle.")] = "",
    photos: Annotated[
        Path | None,
        typer.Option(help="Folder of photos (or .npy files) like those to come; seeded random ones."),
    ] = None,
    repeats: Annotated[int, typer.Option(min=3, max=10_000, help="Timed calls of everything.")] = 20,
    slowdown: Annotated[
        float, typer.Option(help="Multiply the edge's times: a device emulated so many times slower.")
    ] = 1.0,
    steps: Annotated[str, typer.Option(help="Steps of the transform; those of the cut's curve.")] = "",
) -> None:
    """Measure times, sizes and (cloud half) fidelity of every cut and codec, for `splitnet plan`.

    Leave the machine alone meanwhile. Edge and cloud halves from two machines go together.
    """
    from splitnet.bundle import Bundle
    from splitnet.cli.progress import Report
    from splitnet.files import check_writable
    from splitnet.plan.profile import Profile, write_profile
    from splitnet.plan.subject import photo_subject, random_subject

    if not 0.001 <= slowdown <= 10_000:
        raise UsageError(f"--slowdown {slowdown:g} cannot be: give a number from 0.001 to 10000")
    chosen = _steps(steps)
    opened = Bundle.load(bundle, half="edge" if half is Half.edge else "whole")
    opened.verify(half="edge" if half is Half.edge else "whole")
    manifest = opened.manifest
    names = tuple(dict.fromkeys(name.strip() for name in cuts.split(",") if name.strip()))
    names = names or tuple(cut.name for cut in manifest.built_cuts)
    for name in names:
        opened.cut(name)
    check_writable(out)
    subject = random_subject(manifest.input) if photos is None else photo_subject(photos, manifest.input)
    from splitnet.plan.bench import Bench
    from splitnet.plan.energy import EnergyMeter
    from splitnet.plan.measure import Settings
    from splitnet.plan.measure_edge import measure_edge

    busy = _busy()
    edge: EdgeHalf | None = None
    cloud: CloudHalf | None = None
    with Report() as report:
        if half is not Half.cloud:
            # The energy of this machine says nothing about that of an emulated one.
            meter = EnergyMeter.open() if slowdown == 1 else None
            edge = measure_edge(opened, subject, Settings(names, Bench(repeats, slowdown, meter), chosen), report)
        if half is not Half.edge:
            from splitnet.plan.measure_cloud import measure_cloud

            cloud = measure_cloud(opened, subject, Settings(names, Bench(repeats), chosen), report)
    found = Profile(
        network=manifest.name,
        version=manifest.version,
        fingerprint=opened.fingerprint,
        edge=edge,
        cloud=cloud,
    )
    write_profile(out, found)
    for line in (*_notes(found, manifest.input.kind), *busy):
        typer.echo(line)
    typer.echo(f"wrote {out}")


def _steps(text: str) -> tuple[float, ...]:
    try:
        found = tuple(sorted({float(part) for part in text.split(",") if part.strip()}))
    except ValueError:
        found = (-1.0,)
    if any(not 0.03125 <= step <= 64 for step in found):
        raise UsageError(f"--steps {text!r}: give numbers from 0.03125 to 64 with commas between them")
    return found


def _busy() -> list[str]:
    """A note if other work runs here, for then times say little."""
    load, cores = os.getloadavg()[0], len(os.sched_getaffinity(0))
    if load < 0.5 * cores:
        return []
    return [f"note: this machine was busy (load average {load:.1f} on {cores} cores) and times are too long"]


def _notes(found: Profile, kind: Kind) -> list[str]:
    """What was measured, with which `kind` of input, and what the reader must know about it."""
    from splitnet.edge.sources import noun

    files, made = noun(kind), "random pictures" if kind == "image" else "random inputs"
    lines = []
    for name, half in (("edge", found.edge), ("cloud", found.cloud)):
        if half is not None:
            codecs = sum(len(cut.codecs) for cut in half.cuts)
            pictures = f"{half.photos.count} {files if half.photos.kind == 'photos' else made}"
            lines.append(
                f"{name}: {len(half.cuts)} cuts with {codecs} codecs, {len(half.images)} image formats; {pictures}, "
                f"{half.repeats} repeats, 1 and {half.threads} threads, {half.machine.processor}"
            )
    if found.edge is not None:
        if found.edge.slowdown != 1:
            lines.append(f"note: a device emulated {found.edge.slowdown:g} times slower than this machine")
        if found.edge.whole is None:
            lines.append("note: the whole network is not here, so that `all on the edge` is no choice")
        if all(cut.plain.one.joules is None for cut in found.edge.cuts):
            lines.append("note: no energy (RAPL is not readable here, or the device is emulated)")
    if any(half is not None and half.photos.kind == "random" for half in (found.edge, found.cloud)):
        lines.append(f"note: {made}: sizes of frames and files are not those of {files}; give --photos")
    return lines
