"""The transform graphs against the same arithmetic in numpy: what does not agree is never written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from featcodec.quantisers import dct
from splitnet.bundle.manifest import Cut, Input
from splitnet.bundle.verify import random_input
from splitnet.errors import ModelError, VerificationError
from splitnet.graph.extract import serialise
from splitnet.graph.transform import COEFFICIENTS, FINITE, STEP, SYMBOLS, TransformArrays
from splitnet.runtime.graph import Array
from splitnet.runtime.onnxruntime_engine import OnnxGraph

TOLERANCE = 1e-3
"""Largest difference of feature maps and of what the cloud graphs make of them, relative to the largest value. Above
that of a plain split: a transform's inverse multiplies rounding errors."""

_LEVELS = 16384
"""Symbols up to this size at the step that is used: fine enough to see a wrong weight, and well inside int16."""


def verify_transform(path: Path, spec: Input, cut: Cut, profile: TransformArrays, arrays: Sequence[Array] = ()) -> None:
    """Run the transform graphs of `cut`, which lie in `path`, on random inputs and `arrays` (N, *shape).

    At a fine step every symbol must be within 1 of numpy's, the feature maps within `TOLERANCE` of numpy's, and so must
    the cloud graph's output be of what the plain one makes of these maps. Raises VerificationError that names the cut.
    """
    assert cut.transform is not None
    assert cut.edge is not None
    assert cut.cloud is not None
    try:
        plain = [OnnxGraph(path / name) for name in (cut.edge, cut.cloud)]
        edge, cloud = OnnxGraph(path / cut.transform.edge), path / cut.transform.cloud
        transform = [edge, OnnxGraph(cloud), _with_maps(cloud, path / cut.cloud)]
        batches = (1, 3) if plain[0].inputs[0].shape[0] is None else (1,)
        for array in (*(random_input(spec, batch) for batch in batches), *arrays):
            _check(cut, profile, {spec.tensor: array}, plain, transform)
    except ModelError as error:
        raise VerificationError(f"cut {cut.name}: its transform graphs do not run: {error}") from error


def analyse(features: Array, profile: TransformArrays) -> Array:
    """Feature maps (N, C, H, W) -> coefficients (N, B, P, C), float64."""
    (channels, height, width), (h, w) = profile.shape, profile.blocks
    maps = features.astype(np.float64).reshape(-1, channels, height // h, h, width // w, w)
    centred = maps - profile.mean.astype(np.float64).reshape(channels, 1, 1, 1, 1)
    spectrum = np.einsum("ux,vy,ncixjy->nijuvc", dct.matrix(h), dct.matrix(w), centred, optimize=True)
    rows = spectrum.reshape(len(maps), -1, h * w, channels)[:, :, profile.frequencies.astype(np.intp)]
    matrices = profile.analysis.astype(np.float64)[profile.bands]
    return np.asarray(np.einsum("pdc,nbpc->nbpd", matrices, rows, optimize=True))


def synthesise(coefficients: Array, profile: TransformArrays, shape: tuple[int, ...]) -> Array:
    """Coefficients (N, B, P, C) -> feature maps (N, *shape), float64."""
    (channels, height, width), (h, w) = profile.shape, profile.blocks
    matrices = profile.synthesis.astype(np.float64)[profile.bands]
    rows = np.einsum("pcd,nbpd->nbpc", matrices, coefficients.astype(np.float64), optimize=True)
    raster = np.empty_like(rows)
    raster[:, :, profile.frequencies.astype(np.intp)] = rows
    spectrum = raster.reshape(len(rows), height // h, width // w, h, w, channels)
    maps = np.einsum("ux,vy,nijuvc->ncixjy", dct.matrix(h), dct.matrix(w), spectrum, optimize=True)
    maps = maps + profile.mean.astype(np.float64).reshape(channels, 1, 1, 1, 1)
    return np.asarray(maps.reshape(len(rows), *shape))


def _check(
    cut: Cut,
    profile: TransformArrays,
    source: dict[str, Array],
    plain: Sequence[OnnxGraph],
    transform: Sequence[OnnxGraph],
) -> None:
    (features,) = plain[0].run(source)
    wanted = analyse(features, profile)
    step = np.float32(max(np.abs(wanted).max(), 1e-6) / _LEVELS)
    symbols, finite = transform[0].run({**source, STEP: np.array(step)}, [SYMBOLS, FINITE])
    if symbols.shape != wanted.shape or symbols.dtype != np.int16:
        raise VerificationError(f"cut {cut.name}: symbols are {symbols.dtype} {symbols.shape}, not {wanted.shape}")
    # Written so that NaN fails.
    if not (np.abs(symbols - wanted / step).max() <= 1.5 and finite.shape == (len(symbols),) and finite.all()):
        raise VerificationError(f"cut {cut.name}: the transform's edge graph does not compute what its profile says")
    coefficients = {COEFFICIENTS: symbols * step}
    (maps,) = transform[2].run(coefficients, [cut.tensor])
    expected = synthesise(coefficients[COEFFICIENTS], profile, cut.shape)
    if not (_close(maps, expected) and _close(transform[1].run(coefficients)[0], plain[1].run({cut.tensor: maps})[0])):
        raise VerificationError(f"cut {cut.name}: the transform's cloud graph does not compute what its profile says")


def _with_maps(transform: Path, plain: Path) -> OnnxGraph:
    """The transform's cloud graph with the feature maps as an output: later layers may hide what is wrong with them."""
    model = onnx.load(transform)
    (maps,) = onnx.load(plain).graph.input
    if maps.name not in {output.name for output in model.graph.output}:
        model.graph.output.append(maps)
    return OnnxGraph(serialise(model))


def _close(found: Array, expected: Array) -> bool:
    scale = max(float(np.abs(expected).max()), 1e-30)
    # Written so that NaN fails.
    return found.shape == expected.shape and bool(np.abs(found - expected).max() <= TOLERANCE * scale)
