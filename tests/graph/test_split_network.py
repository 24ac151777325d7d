"""Splitting: costs, graphs, batches, and what cannot be split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from splitnet.errors import ModelError
from splitnet.graph.cost import macs
from splitnet.graph.extract import extract, serialise
from splitnet.graph.load import load_onnx
from splitnet.graph.shapes import Tensor, shapes
from splitnet.graph.split import split_network
from splitnet.runtime.onnxruntime_engine import OnnxGraph


def model(body: str, signature: str, initializers: str = "") -> onnx.ModelProto:
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g {signature} <{initializers}> {{ {body} }}'
        if initializers
        else f'<ir_version: 8, opset_import: ["" : 17]> g {signature} {{ {body} }}'
    )


def test_cuts_with_shapes_and_costs(tiny_network: Path) -> None:
    split = split_network(load_onnx(tiny_network), ["scores", "vector"])
    first, second, last = 4 * 16 * 16 * 3 * 9, 8 * 8 * 8 * 4 * 9, 8 * 5
    assert [(cut.tensor, cut.shape, cut.macs_before, cut.macs_after) for cut in split.cuts] == [
        ("c1", (4, 16, 16), first, second + last),
        ("r1", (4, 16, 16), first, second + last),
        ("c2", (8, 8, 8), first + second, last),
        ("r2", (8, 8, 8), first + second, last),
        ("pool", (8, 1, 1), first + second, last),
        ("flat", (8,), first + second, last),
    ]
    assert split.shared == "flat"
    assert split.free_batch


@pytest.mark.parametrize("batch", [1, 3])
def test_every_split_gives_the_whole_networks_outputs(tiny_network: Path, batch: int) -> None:
    split = split_network(load_onnx(tiny_network), ["scores", "vector"])
    image = np.random.default_rng(batch).standard_normal((batch, 3, 16, 16)).astype(np.float32)
    whole = OnnxGraph(serialise(split.whole)).run({"image": image})
    for cut in split.cuts:
        features = OnnxGraph(serialise(split.edge(cut))).run({"image": image})[0]
        assert features.shape == (batch, *cut.shape)
        shared = OnnxGraph(serialise(split.cloud(cut))).run({cut.tensor: features})[0]
        for output, expected in zip(split.outputs, whole, strict=True):
            head = split.head(output)
            assert head is not None
            np.testing.assert_allclose(OnnxGraph(serialise(head)).run({"flat": shared})[0], expected, rtol=1e-5)


def test_parts_hold_only_the_weights_they_need(tiny_network: Path) -> None:
    split = split_network(load_onnx(tiny_network), ["scores", "vector"])
    cut = next(cut for cut in split.cuts if cut.tensor == "r1")
    head = split.head("scores")
    assert head is not None
    held = [[tensor.name for tensor in part.graph.initializer] for part in (split.edge(cut), split.cloud(cut), head)]
    assert held == [["w1"], ["w2"], ["w3"]]


def test_one_output_needs_no_head(tiny_network: Path) -> None:
    split = split_network(load_onnx(tiny_network), ["vector"])
    assert split.shared == "vector"
    assert split.head("vector") is None
    assert [cut.tensor for cut in split.cuts] == ["c1", "r1", "c2", "r2", "pool", "flat"]
    assert {tensor.name for tensor in split.whole.graph.initializer} == {"w1", "w2"}


def test_an_output_that_is_shared_needs_no_head() -> None:
    network = model(
        "a = Relu(x)  s = Abs(a)  y = Neg(s)", "(float[N, 3, 4, 4] x) => (float[N, 3, 4, 4] s, float[N, 3, 4, 4] y)"
    )
    split = split_network(network, ["s", "y"])
    assert split.shared == "s"
    assert split.head("s") is None
    assert split.head("y") is not None


def test_a_fixed_batch_stays_fixed() -> None:
    split = split_network(model("a = Relu(x)  y = Neg(a)", "(float[1, 3, 4, 4] x) => (float[1, 3, 4, 4] y)"), ["y"])
    assert not split.free_batch
    assert OnnxGraph(serialise(split.edge(split.cuts[0]))).inputs[0].shape == (1, 3, 4, 4)


def test_tensors_without_the_batch_in_front_are_no_cuts() -> None:
    body = "a = Relu(x)  b = Transpose<perm = [1, 0, 2, 3]>(a)  c = Neg(b)  y = Transpose<perm = [1, 0, 2, 3]>(c)"
    split = split_network(model(body, "(float[N, 3, 4, 4] x) => (float[N, 3, 4, 4] y)"), ["y"])
    assert [cut.tensor for cut in split.cuts] == ["a"]


def test_integer_tensors_are_no_cuts() -> None:
    body = "a = Relu(x)  b = Cast<to = 7>(a)  y = Cast<to = 1>(b)"
    split = split_network(model(body, "(float[N, 3, 4, 4] x) => (float[N, 3, 4, 4] y)"), ["y"])
    assert [cut.tensor for cut in split.cuts] == ["a"]


@pytest.mark.parametrize(
    ("body", "signature", "initializers", "message"),
    [
        (
            "y = Relu(x)",
            "(float[N, 3, 4, 4] x) => (float[N, 3, 4, 4] y)",
            "",
            "between its input and its output there is no tensor",
        ),
        (
            "a = Cast<to = 7>(x)  b = Neg(a)  y = Cast<to = 1>(b)",
            "(float[N, 3, 4, 4] x) => (float[N, 3, 4, 4] y)",
            "",
            "the tensor 'a' crosses and is INT64",
        ),
        (
            "a = Transpose<perm = [1, 0, 2, 3]>(x)  y = Transpose<perm = [1, 0, 2, 3]>(a)",
            "(float[N, 3, 4, 4] x) => (float[N, 3, 4, 4] y)",
            "",
            "'a' of shape .* crosses and has no batch in front",
        ),
        ("y = Neg(k)", "(float[N, 3, 4, 4] x) => (float[1] y)", "float[1] k = {1}", "'y' is not computed from"),
        (
            "a = Relu(x)  y = ReduceMean<keepdims = 0>(a)",
            "(float[N, 3, 4, 4] x) => (float y)",
            "",
            "no batch dimension",
        ),
    ],
)
def test_what_cannot_be_split(body: str, signature: str, initializers: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        split_network(model(body, signature, initializers), ["y"])


def test_a_graph_cannot_be_extracted_where_a_second_tensor_crosses() -> None:
    network = model("a = Relu(x)  b = Abs(x)  y = Add(a, b)", "(float[1] x) => (float[1] y)")
    value = onnx.helper.make_tensor_value_info("a", onnx.TensorProto.FLOAT, [1])
    with pytest.raises(ModelError, match="'x' crosses the cut too"):
        extract(network, [value], [network.graph.output[0]], "cloud")


def test_shapes_that_inference_leaves_open_are_measured() -> None:
    body = "n = NonZero(x)  f = Cast<to = 1>(n)  y = Neg(f)"
    network = model(body, "(float[1, 3, 2, 2] x) => (float[4, M] y)")
    assert shapes(network, 1, ["f"])["f"] == Tensor(onnx.TensorProto.FLOAT, (4, 0))


def test_shapes_that_cannot_be() -> None:
    network = model(
        'y = Pad<mode = "constant">(x, p)',
        "(float[1, 3, 4, 4] x) => (float[1, 3, 4, M] y)",
        "int64[8] p = {0, 0, 0, -9, 0, 0, 0, 0}",
    )
    with pytest.raises(ModelError, match=r"'y' would be \(1, 3, 4, -5\)|do not fit together"):
        shapes(network, 1, ["y"])


@pytest.mark.parametrize(
    ("operator", "attributes", "left", "right", "out", "expected"),
    [
        ("Conv", {}, (1, 8, 9, 9), (16, 8, 3, 3), (1, 16, 7, 7), 16 * 7 * 7 * 8 * 9),
        ("Conv", {"group": 8}, (1, 8, 9, 9), (8, 1, 3, 3), (1, 8, 7, 7), 8 * 7 * 7 * 9),
        ("ConvTranspose", {}, (1, 8, 4, 4), (8, 2, 2, 2), (1, 2, 8, 8), 8 * 4 * 4 * 2 * 4),
        ("Gemm", {}, (1, 10), (10, 4), (1, 4), 40),
        ("Gemm", {"transA": 1}, (10, 1), (10, 4), (1, 4), 40),
        ("MatMul", {}, (1, 6, 10), (10, 4), (1, 6, 4), 240),
        ("Add", {}, (1, 4), (1, 4), (1, 4), 0),
    ],
)
def test_multiply_adds(
    operator: str,
    attributes: dict[str, int],
    left: tuple[int, ...],
    right: tuple[int, ...],
    out: tuple[int, ...],
    expected: int,
) -> None:
    node = onnx.helper.make_node(operator, ["l", "r"], ["o"])
    node.attribute.extend(onnx.helper.make_attribute(name, value) for name, value in attributes.items())
    known = {name: Tensor(1, shape) for name, shape in (("l", left), ("r", right), ("o", out))}
    assert macs(node, known) == expected
