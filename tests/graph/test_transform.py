"""The transform's nodes: the same symbols as numpy, flags for what int16 cannot hold, and graphs in good form."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
import pytest

from featcodec.quantisers import dct
from splitnet.errors import ModelError
from splitnet.graph.extract import serialise
from splitnet.graph.transform import with_analysis, with_synthesis
from splitnet.runtime.graph import Array
from splitnet.runtime.onnxruntime_engine import OnnxGraph


@dataclass
class Arrays:
    """A profile's arrays: radial scan, random matrices."""

    shape: tuple[int, int, int]
    blocks: tuple[int, int]
    frequencies: Array
    bands: Array
    mean: Array
    analysis: Array
    synthesis: Array


def profile(shape: tuple[int, int, int], blocks: tuple[int, int], bands: int = 3) -> Arrays:
    generator = np.random.default_rng(sum(shape) + sum(blocks))
    h, w = blocks
    scan = sorted(range(h * w), key=lambda index: (index // w + index % w, index))
    numbers = np.minimum(np.arange(h * w), bands - 1).astype(np.uint8)
    channels = shape[0]
    analysis = generator.standard_normal((numbers[-1] + 1, channels, channels)) + 2 * np.eye(channels)
    return Arrays(
        shape,
        blocks,
        np.array(scan, np.uint16),
        numbers,
        generator.standard_normal(channels).astype(np.float32),
        analysis.astype(np.float32),
        np.linalg.inv(analysis.astype(np.float32).astype(np.float64)).astype(np.float32),
    )


def reference(features: Array, arrays: Arrays) -> Array:
    """One number after the other, as the definition says: (C, H, W) -> (B, P, C)."""
    (_, height, width), (h, w) = arrays.shape, arrays.blocks
    centred = features.astype(np.float64) - arrays.mean[:, np.newaxis, np.newaxis]
    rows = []
    for top in range(0, height, h):
        for left in range(0, width, w):
            block = centred[:, top : top + h, left : left + w]
            for row, frequency in enumerate(arrays.frequencies):
                u, v = divmod(int(frequency), w)
                z = np.array([(cosine(u, h)[:, np.newaxis] * cosine(v, w) * one).sum() for one in block])
                rows.append(arrays.analysis[arrays.bands[row]].astype(np.float64) @ z)
    return np.array(rows).reshape(-1, h * w, len(features))


def cosine(frequency: int, size: int) -> Array:
    scale = np.sqrt((1 if frequency == 0 else 2) / size)
    return np.asarray(scale * np.cos(np.pi * (2 * np.arange(size) + 1) * frequency / (2 * size)))


def identity(shape: tuple[int, ...], batch: str = "N", opset: int = 18, kind: str = "float") -> onnx.ModelProto:
    """A network whose feature maps `f` are its image; the same graph serves as an edge and as a cloud graph."""
    dims = ", ".join([batch, *map(str, shape)])
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {opset}]>g ({kind}[{dims}] x) => ({kind}[{dims}] f) {{ f = Identity(x) }}'
    )


CASES = [
    ((5, 6, 8), (6, 8)),  # one block
    ((4, 8, 12), (4, 6)),  # 2 x 2 blocks
    ((3, 6, 4), (1, 4)),  # one row high
    ((2, 4, 6), (1, 1)),  # no spatial frequencies at all
    ((9, 1, 1), (1, 1)),  # a vector as maps
]


@pytest.mark.parametrize(("shape", "blocks"), CASES)
@pytest.mark.parametrize("batch", [1, 3])
def test_symbols_are_those_of_the_definition(shape: tuple[int, int, int], blocks: tuple[int, int], batch: int) -> None:
    arrays = profile(shape, blocks)
    graph = OnnxGraph(serialise(with_analysis(identity(shape), arrays)))
    features = np.random.default_rng(batch).standard_normal((batch, *shape)).astype(np.float32)
    step = np.array(0.25, np.float32)
    symbols, finite = graph.run({"x": features, "step": step})
    expected = np.stack([np.rint(reference(one, arrays) / step) for one in features])
    assert symbols.dtype == np.int16
    np.testing.assert_array_equal(symbols, expected)
    assert finite.tolist() == [True] * batch


@pytest.mark.parametrize(("shape", "blocks"), CASES)
@pytest.mark.parametrize("batch", [1, 3])
def test_synthesis_inverts(shape: tuple[int, int, int], blocks: tuple[int, int], batch: int) -> None:
    arrays = profile(shape, blocks)
    graph = OnnxGraph(serialise(with_synthesis(identity(shape), arrays)))
    features = np.random.default_rng(batch).standard_normal((batch, *shape)).astype(np.float32)
    coefficients = np.stack([reference(one, arrays) for one in features]).astype(np.float32)
    (maps,) = graph.run({"coefficients": coefficients})
    np.testing.assert_allclose(maps, features, atol=1e-4)


def test_a_vector() -> None:
    small = profile((7, 1, 1), (1, 1))
    features = np.random.default_rng(0).standard_normal((2, 7)).astype(np.float32)
    symbols, _ = OnnxGraph(serialise(with_analysis(identity((7,)), small))).run(
        {"x": features, "step": np.array(1e-3, np.float32)}
    )
    assert symbols.shape == (2, 1, 1, 7)
    (vector,) = OnnxGraph(serialise(with_synthesis(identity((7,)), small))).run(
        {"coefficients": symbols * np.float32(1e-3)}
    )
    np.testing.assert_allclose(vector, features, atol=1e-2)


def test_half_precision_features() -> None:
    arrays = profile((3, 4, 4), (4, 4))
    network = identity((3, 4, 4), kind="float16")
    features = np.random.default_rng(0).standard_normal((1, 3, 4, 4)).astype(np.float16)
    symbols, finite = OnnxGraph(serialise(with_analysis(network, arrays))).run(
        {"x": features, "step": np.array(0.5, np.float32)}
    )
    np.testing.assert_array_equal(symbols[0], np.rint(reference(features[0], arrays) / 0.5))
    assert finite.all()
    back = OnnxGraph(serialise(with_synthesis(network, arrays)))
    assert back.run({"coefficients": symbols * np.float32(0.5)})[0].dtype == np.float16


def test_ties_alone_differ_from_numpy_at_the_size_of_a_real_cut() -> None:
    shape = (80, 14, 14)
    arrays = profile(shape, (14, 14), bands=16)
    features = np.random.default_rng(0).standard_normal((1, *shape)).astype(np.float32)
    step = np.float32(1.75)
    symbols, _ = OnnxGraph(serialise(with_analysis(identity(shape), arrays))).run(
        {"x": features, "step": np.array(step)}
    )
    maps = dct.matrix(14) @ (features[0] - arrays.mean[:, np.newaxis, np.newaxis]) @ dct.matrix(14).T
    rows = maps.reshape(80, 196).T[arrays.frequencies]
    expected = np.rint(np.einsum("pdc,pc->pd", arrays.analysis[arrays.bands], rows) / step)
    difference = np.abs(symbols[0, 0] - expected)
    assert difference.max() <= 1
    assert np.mean(difference > 0) < 1e-4


@pytest.mark.parametrize(
    ("change", "finite"),
    [
        (lambda maps: maps, True),
        (lambda maps: maps * 32767, True),
        (lambda maps: maps * -32767, True),
        (lambda maps: maps * 32768, False),
        (lambda maps: maps * 1e30, False),
        (lambda maps: maps * 1e38 * 100, False),
        (lambda maps: np.where(maps > 0, np.nan, maps), False),
        (lambda maps: np.where(maps > 0, -np.inf, maps), False),
    ],
)
def test_what_int16_cannot_hold_is_flagged_for_that_image_alone(change: Callable[[Array], Array], finite: bool) -> None:
    one = np.zeros((1, 1), np.float32)
    arrays = Arrays(
        (1, 2, 2), (1, 1), np.zeros(1, np.uint16), np.zeros(1, np.uint8), one[0], one[None] + 1, one[None] + 1
    )
    graph = OnnxGraph(serialise(with_analysis(identity((1, 2, 2)), arrays)))
    maps = np.array([[[[1, 0], [0, 0]]]], np.float32)
    with np.errstate(all="ignore"):
        batch = np.concatenate([maps, change(maps).astype(np.float32), maps])
    symbols, flags = graph.run({"x": batch, "step": np.array(1.0, np.float32)})
    assert flags.tolist() == [True, finite, True]
    if finite:
        np.testing.assert_array_equal(symbols.reshape(batch.shape), batch)


@pytest.mark.parametrize("batch", ["N", "1", "2"])
@pytest.mark.parametrize("opset", [13, 17, 18, 21])
@pytest.mark.parametrize(("shape", "blocks"), [((4, 6, 6), (6, 6)), ((4, 6, 6), (3, 2))])
def test_the_graphs_are_in_good_form(
    batch: str, opset: int, shape: tuple[int, int, int], blocks: tuple[int, int]
) -> None:
    arrays = profile(shape, blocks)
    network = identity(shape, batch, opset)
    edge, cloud = with_analysis(network, arrays), with_synthesis(network, arrays)
    assert serialise(edge) == serialise(with_analysis(network, arrays))
    assert serialise(cloud) == serialise(with_synthesis(network, arrays))
    for model in (edge, cloud):
        onnx.checker.check_model(model, full_check=True)
        assert {one.version for one in model.opset_import} == {opset}
    for model, name in ((edge, "symbols"), (cloud, "f")):
        (declared,) = [value for value in model.graph.output if value.name == name]
        shape_only = onnx.ModelProto()
        shape_only.CopyFrom(model)
        for value in shape_only.graph.output:
            value.type.tensor_type.ClearField("shape")
        inferred = onnx.shape_inference.infer_shapes(shape_only, check_type=True, strict_mode=True, data_prop=True)
        (found,) = [value for value in inferred.graph.output if value.name == name]
        assert found.type == declared.type
    free = None if batch == "N" else int(batch)
    count = 36 // (blocks[0] * blocks[1])
    inputs, outputs = (
        {spec.name: (spec.dtype, spec.shape) for spec in specs}
        for specs in (OnnxGraph(serialise(edge)).inputs, OnnxGraph(serialise(edge)).outputs)
    )
    assert inputs == {"x": ("float32", (free, *shape)), "step": ("float32", ())}
    assert outputs == {"symbols": ("int16", (free, count, 36 // count, 4)), "finite": ("bool", (free,))}
    assert [(spec.name, spec.shape) for spec in OnnxGraph(serialise(cloud)).inputs] == [
        ("coefficients", (free, count, 36 // count, 4))
    ]


def test_networks_that_cannot_take_one() -> None:
    arrays = profile((4, 6, 6), (6, 6))
    with pytest.raises(ModelError, match="opset 12; a transform needs 13"):
        with_analysis(identity((4, 6, 6), opset=12), arrays)
    named = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 18]>g (float[N, 4, 6, 6] step) => (float[N, 4, 6, 6] f) { f = Relu(step) }'
    )
    with pytest.raises(ModelError, match="calls a tensor 'step', which the transform needs"):
        with_analysis(named, arrays)
