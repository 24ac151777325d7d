"""`splitnet calibrate`: photos become the profile of a cut and its measured rate-fidelity curve."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from splitnet.errors import UsageError

if TYPE_CHECKING:
    from splitnet.bundle import Bundle
    from splitnet.calibrate.calibration import Method as Chosen
    from splitnet.calibrate.curve import Curve
    from splitnet.cli.progress import Report


class Method(StrEnum):
    """Where the sensitivity of the outputs comes from."""

    auto = "auto"
    fisher = "fisher"
    probing = "probing"


def calibrate(
    bundle: Annotated[Path, typer.Argument(help="Bundle to add the profiles to; it is replaced at the end.")],
    data: Annotated[Path, typer.Option(help="Folder of photos (or .npy files), unlabelled; some hundreds are good.")],
    cuts: Annotated[
        str, typer.Option(help="Names with commas between them; all cuts of the bundle that a transform can be for.")
    ] = "",
    method: Annotated[
        Method, typer.Option(help="fisher takes gradients (networks of the zoo), probing adds noise (any network).")
    ] = Method.auto,
    weights: Annotated[
        str,
        typer.Option(help="TASK=WEIGHT with commas between them: what its loss counts; an embedding 0.5, others 1."),
    ] = "",
    steps: Annotated[str, typer.Option(help="Ladder of the curve, in standard deviations.")] = "",
    fidelity: Annotated[
        float,
        typer.Option(min=0, help="Default step: the largest whose mean distortion of the first task is at most this."),
    ] = 0.025,
    draws: Annotated[int, typer.Option(min=2, max=64, help="Gradients a photo, an even number.")] = 4,
    folds: Annotated[int, typer.Option(min=2, max=50, help="Each part is measured with the profile of the rest.")] = 5,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1)] = 0,
    out: Annotated[Path | None, typer.Option(help="Write a new bundle here and leave the given one alone.")] = None,
    work: Annotated[
        Path | None, typer.Option(help="Folder for what an interrupted run goes on from; BUNDLE.calibration.")
    ] = None,
) -> None:
    """Measure what the network's answers lose where, and make the codec `transform|rans` for it.

    The same photos, settings and machine give the same profile. An interrupted run goes on where it was.
    """
    from splitnet.bundle import Bundle
    from splitnet.calibrate.photos import find_photos
    from splitnet.cli.progress import Report
    from splitnet.graph.extras import require

    opened = Bundle.load(bundle)
    names = [name.strip() for name in cuts.split(",") if name.strip()]
    names = names or _suitable(opened)
    for name in names:
        opened.cut(name)
    if draws % 2:
        raise UsageError(f"--draws {draws} is odd: every other draw has noise, give an even number")
    require("torch", "onnx", "onnxruntime", "safetensors")
    from splitnet.bundle.transform import Calibration, add_transforms
    from splitnet.calibrate.calibration import CutCalibration, Settings
    from splitnet.calibrate.curve import STEPS, default_step

    settings = Settings(
        method=_method(method, opened.manifest.name),
        folds=folds,
        draws=draws,
        seed=seed,
        steps=_steps(steps) or STEPS,
        weights=_weights(weights),
    )
    photos = find_photos(data, folds, opened.manifest.input.kind)
    folder = work or bundle.resolve().with_name(f"{bundle.resolve().name}.calibration")
    additions: list[Calibration] = []
    runs = []
    with Report() as report:
        # All of them before the first: what is wrong with one should not cost minutes for the others.
        calibrations = [
            CutCalibration(opened, name, photos, settings, folder, partial(_advance, report, name)) for name in names
        ]
        for name, run in zip(names, calibrations, strict=True):
            found = run.run()
            step = default_step(found.curve, fidelity)
            curve = found.curve.model_dump_json(indent=1).encode() + b"\n"
            additions.append(Calibration(name, found.profile.to_bytes(), curve, step))
            runs.append((run, found.curve, step))
        report("writing the bundle", 0, 1)
        written = add_transforms(opened, additions, out=out)
    for run, measured, step in runs:
        typer.echo(_table(measured, step))
        if work is None:
            run.clean()
    if work is None and folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
    typer.echo(f"wrote {written.path}, fingerprint {written.fingerprint}")


def _suitable(bundle: Bundle) -> list[str]:
    """The cuts of one tensor that is a vector or feature maps; says which others there are."""
    manifest = bundle.manifest
    built = [cut for cut in manifest.built_cuts if not manifest.is_input(cut)]
    suitable = [cut.name for cut in built if not cut.more and len(cut.shape) in (1, 3)]
    left = [cut.name for cut in built if cut.name not in suitable]
    if not suitable:
        raise UsageError(f"{bundle.path} has no cut that a transform can be for: one vector or one set of feature maps")
    if left:
        typer.echo(f"left out: {', '.join(left)} (a transform is for one tensor, feature maps or a vector)")
    return suitable


def _advance(report: Report, cut: str, what: str, done: int, total: int) -> None:
    report(f"{cut}: {what}", done, total)


def _method(method: Method, network: str) -> Chosen:
    if method is not Method.auto:
        return "fisher" if method is Method.fisher else "probing"
    from splitnet.models.zoo import ZOO

    return "fisher" if network in ZOO else "probing"


def _steps(text: str) -> tuple[float, ...]:
    try:
        found = tuple(sorted(float(part) for part in text.split(",") if part.strip()))
    except ValueError:
        found = (-1.0,)
    if any(not 0.03125 <= step <= 64 for step in found):
        raise UsageError(f"--steps {text!r}: give numbers from 0.03125 to 64 with commas between them")
    return found


def _weights(text: str) -> dict[str, float]:
    found = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, _, weight = part.partition("=")
        try:
            found[name] = float(weight)
        except ValueError:
            raise UsageError(f"--weights {part!r} is not TASK=WEIGHT, for example embedding=0.5") from None
    return found


def _table(curve: Curve, step: float) -> str:
    keys = [key for key in curve.rows[0] if not key.endswith(("_low", "_high"))]
    lines = [f"{curve.cut}: {curve.photos} photos, {curve.folds} folds, {curve.method}; default step {step:g}"]
    lines.append("  ".join(key.rjust(8) for key in keys))
    for row in curve.rows:
        cells = [f"{row[key]:,.0f}" if key == "bytes" else f"{row[key]:.4g}" for key in keys]
        lines.append("  ".join(cell.rjust(max(8, len(key))) for cell, key in zip(cells, keys, strict=True)))
    return "\n".join(lines)
