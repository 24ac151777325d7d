"""Give cuts of a bundle edge graphs of another precision."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from splitnet.bundle import Bundle
from splitnet.bundle.manifest import Cut
from splitnet.bundle.write import Staging
from splitnet.calibrate.photos import load_inputs
from splitnet.edge.sources import spread
from splitnet.errors import UsageError, VerificationError
from splitnet.graph.extras import require
from splitnet.precision.compare import PrecisionReport, compare
from splitnet.runtime.graph import Array
from splitnet.runtime.onnxruntime_engine import OnnxGraph

Precision = Literal["int8", "float16"]
PRECISIONS: tuple[Precision, ...] = ("int8", "float16")
FEWEST_PHOTOS = 8
"""Photos below which an activation's range is a guess."""

MOST_PHOTOS = 256
"""Taken, spread over all: more change little, and all are in memory at once (600 kB each at 224 x 224)."""


def set_edge_precision(
    bundle: Bundle,
    precision: Precision,
    photos: Sequence[Path],
    *,
    cuts: Sequence[str] = (),
    out: str | os.PathLike[str] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[Bundle, list[PrecisionReport]]:
    """Write `bundle` with the edge graphs of `cuts` (all that are built, by default) in `precision`.

    Of at most `MOST_PHOTOS` of `photos` one half set the ranges of int8's activations, the other half say what it
    costs. A transform of these cuts goes: its profile was of other features, calibrate the cut again. The bundle takes
    the old one's place, all at once or not at all, or goes to `out`; its fingerprint changes.

    Raises
    ------
    UsageError
        for an unknown precision or cut, too few photos, or cuts that are not float32 any more.
    ImageError, SampleError
        for a photo, or a ``.npy`` file for a network that takes no images, that cannot be read.
    ModelError
        if a graph cannot be converted.
    VerificationError
        if a converted graph gives features that are not finite or of another shape.
    OutputError, BundleError
        as `splitnet.bundle.add_transforms`.
    """
    require("onnx", "onnxruntime")
    if precision not in PRECISIONS:
        raise UsageError(f"no edge precision {precision!r}; there are: {', '.join(PRECISIONS)}")
    if len(photos) < FEWEST_PHOTOS:
        raise UsageError(f"{precision} needs at least {FEWEST_PHOTOS} photos to be set and measured; got {len(photos)}")
    manifest = bundle.manifest
    chosen = [bundle.cut(name) for name in cuts] or [one for one in manifest.built_cuts if not manifest.is_input(one)]
    for cut in chosen:
        if manifest.is_input(cut):
            raise UsageError(f"cut {cut.name} has no layers before it, so nothing to compute in {precision}")
        if cut.precision != "float32":
            raise UsageError(f"cut {cut.name} is {cut.precision} already: build the bundle again to begin from float32")
    loaded = load_inputs(spread(photos, MOST_PHOTOS), manifest.input)
    inputs = [loaded[index : index + 1] for index in range(len(loaded))]
    made: dict[str, bytes] = {}
    reports = []
    for number, cut in enumerate(chosen):
        if progress is not None:
            progress(f"{cut.name} in {precision}", number, len(chosen))
        made[cut.name] = _convert(bundle, cut, precision, inputs[::2])
        _check(cut, precision, made[cut.name], inputs[1])
        reports.append(compare(bundle, cut, precision, made[cut.name], inputs[1::2]))
    if progress is not None:
        progress("done", len(chosen), len(chosen))
    return _write(bundle, precision, made, Path(bundle.path if out is None else out)), reports


def _convert(bundle: Bundle, cut: Cut, precision: Precision, inputs: Sequence[Array]) -> bytes:
    from splitnet.precision.convert import to_float16, to_int8

    assert cut.edge is not None
    graph = bundle.open_bytes(cut.edge)
    return to_int8(graph, inputs) if precision == "int8" else to_float16(graph)


def _check(cut: Cut, precision: str, made: bytes, one: Array) -> None:
    graph = OnnxGraph(made, name=f"{cut.name} in {precision}")
    crossing = graph.run({graph.inputs[0].name: one}, [every.tensor for every in cut.crossing])
    for wanted, found in zip(cut.crossing, crossing, strict=True):
        finite = np.isfinite(found).all()
        if found.shape != (1, *wanted.shape) or found.dtype != wanted.dtype or not finite:
            raise VerificationError(
                f"cut {cut.name}: in {precision} {wanted.tensor!r} is {found.dtype} {found.shape[1:]},"
                f"{'' if finite else ' not finite,'} expected {wanted.dtype} {wanted.shape}"
            )


def _write(bundle: Bundle, precision: Precision, made: dict[str, bytes], target: Path) -> Bundle:
    manifest = bundle.manifest
    changed = [cut for cut in manifest.cuts if cut.name in made]
    dropped = {cut.edge for cut in changed}
    dropped |= {path for cut in changed if cut.transform is not None for path in cut.transform.paths}
    with Staging(target) as staging:
        staging.keep(bundle, dropped)
        cuts = tuple(
            cut.model_copy(
                update={
                    "edge": staging.add(f"cuts/{cut.name}.{precision}.edge.onnx", made[cut.name]),
                    "precision": precision,
                    "transform": None,
                }
            )
            if cut.name in made
            else cut
            for cut in manifest.cuts
        )
        staging.publish(manifest.model_copy(update={"cuts": cuts, "files": staging.files}))
    return Bundle.load(target)
