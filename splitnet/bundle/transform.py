"""Give cuts of a bundle a calibrated transform."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import featcodec
from splitnet.bundle.load import Bundle
from splitnet.bundle.manifest import Cut, Manifest, Transform
from splitnet.bundle.profiles import check_profile
from splitnet.bundle.write import Staging
from splitnet.errors import UsageError

DEFAULT_STEP = 1.75
"""Step of a transform whose profile does not say one, in units of the features' standard deviation."""

MAX_CURVE_BYTES = 1 << 20


@dataclass(frozen=True)
class Calibration:
    """What calibrating one cut gave.

    Attributes
    ----------
    profile
        Bytes of a profile file, see `featcodec.load_profile`.
    curve
        Bytes and fidelity by step, as a JSON object or its text, whose `rows` are objects of numbers with one `step`
        each. Shown by `splitnet inspect`.
    step
        The cut's default step; when None, what the profile's metadata says under `step`, else `DEFAULT_STEP`.
    """

    cut: str
    profile: bytes
    curve: Mapping[str, Any] | bytes | None = None
    step: float | None = None


def add_transform(
    bundle: Bundle,
    cut: str,
    profile: bytes,
    *,
    curve: Mapping[str, Any] | bytes | None = None,
    step: float | None = None,
    out: str | os.PathLike[str] | None = None,
) -> Bundle:
    """`add_transforms` for one cut."""
    return add_transforms(bundle, [Calibration(cut, profile, curve, step)], out=out)


def add_transforms(
    bundle: Bundle, calibrations: Sequence[Calibration], *, out: str | os.PathLike[str] | None = None
) -> Bundle:
    """Write `bundle` with transforms for the cuts in `calibrations`, verified, and return it as loaded.

    It takes the old one's place, all at once or not at all, or goes to `out`. A transform that a cut already has is
    replaced; everything else stays. The fingerprint changes: deploy the new bundle on both sides.

    Raises
    ------
    UsageError
        for an unknown or repeated cut, a profile or curve that cannot be read or belongs to another network, version,
        cut or shape, a wrong step, a missing extra, or a place that holds something else.
    ModelError
        if the cut's graphs cannot take a transform.
    VerificationError
        if the graphs do not compute what the profile says.
    BundleError
        if the old bundle was altered.
    OutputError
        if the bundle cannot be written. After any failure the old one is as it was.
    """
    manifest = bundle.manifest
    names = [one.cut for one in calibrations]
    for name in names:
        bundle.cut(name)
        if names.count(name) > 1:
            raise UsageError(f"cut {name} is given more than one profile")
    target = Path(bundle.path if out is None else out)
    dropped = {
        path for cut in manifest.cuts if cut.name in names and cut.transform is not None for path in cut.transform.paths
    }
    with Staging(target) as staging:
        staging.keep(bundle, dropped)
        cuts = stage_transforms(staging, manifest, calibrations)
        staging.publish(manifest.model_copy(update={"cuts": cuts, "files": staging.files}))
    return Bundle.load(target)


def stage_transforms(
    staging: Staging, manifest: Manifest, calibrations: Sequence[Calibration], arrays: Sequence[Any] = ()
) -> tuple[Cut, ...]:
    """Write profiles, curves and graphs beside the plain graphs that are in `staging`, verify them, and return the
    manifest's cuts with their transforms. Raises as `add_transforms`.
    """
    from splitnet.graph.extras import require

    require("onnx", "onnxruntime")
    from splitnet.bundle.verify_transform import verify_transform

    known = {cut.name: cut for cut in manifest.cuts}
    for calibration in calibrations:
        cut = known[calibration.cut]
        profile = _profile(calibration, manifest, cut)
        cut = cut.model_copy(update={"transform": _stage(staging, manifest, cut, profile, calibration)})
        verify_transform(staging.path, manifest.input, cut, profile, arrays)
        known[cut.name] = cut
    return tuple(known[cut.name] for cut in manifest.cuts)


def _profile(calibration: Calibration, manifest: Manifest, cut: Cut) -> featcodec.TransformProfile:
    try:
        profile = featcodec.load_profile(calibration.profile)
    except (featcodec.ProfileError, featcodec.MissingLibraryError) as error:
        raise UsageError(f"the profile for cut {cut.name} cannot be used: {error}") from error
    check_profile(profile, manifest, cut)
    return profile


def _stage(
    staging: Staging, manifest: Manifest, cut: Cut, profile: featcodec.TransformProfile, calibration: Calibration
) -> Transform:
    import onnx

    from splitnet.graph.extract import serialise
    from splitnet.graph.inputs import fix_shape
    from splitnet.graph.transform import with_analysis, with_synthesis

    assert cut.edge is not None
    assert cut.cloud is not None
    step = _step(calibration, profile)
    curve = _curve(calibration)
    # A profile is for feature maps of one size, the nominal one.
    edge, cloud = (onnx.load(staging.path / path) for path in (cut.edge, cut.cloud))
    fix_shape(edge.graph.input[0], manifest.input.shape)
    fix_shape(edge.graph.output[0], cut.shape)
    fix_shape(cloud.graph.input[0], cut.shape)
    edge, cloud = with_analysis(edge, profile), with_synthesis(cloud, profile)
    return Transform(
        profile=staging.add(f"profiles/{cut.name}.safetensors", calibration.profile),
        edge=staging.add(f"cuts/{cut.name}.transform.edge.onnx", serialise(edge)),
        cloud=staging.add(f"cuts/{cut.name}.transform.cloud.onnx", serialise(cloud)),
        curve=None if curve is None else staging.add(f"profiles/{cut.name}.curve.json", curve),
        step=step,
    )


def _step(calibration: Calibration, profile: featcodec.TransformProfile) -> float:
    given = calibration.step if calibration.step is not None else profile.metadata.get("step", DEFAULT_STEP)
    try:
        step = float(given)
        featcodec.parse_spec(f"transform:step={step!r}|rans")
    except (ValueError, TypeError) as error:  # SpecError is a ValueError
        raise UsageError(f"the step {given!r} for cut {calibration.cut} cannot be used: {error}") from error
    return step


def _curve(calibration: Calibration) -> bytes | None:
    given = calibration.curve
    if given is None:
        return None
    try:
        text = given if isinstance(given, bytes) else json.dumps(given).encode()
        content = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise UsageError(f"the curve for cut {calibration.cut} is not JSON: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("rows"), list) or len(text) > MAX_CURVE_BYTES:
        raise UsageError(f"the curve for cut {calibration.cut} is not a JSON object with a list of `rows`, below 1 MiB")
    return text
