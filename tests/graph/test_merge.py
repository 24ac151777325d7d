"""Networks with a common trunk become one that runs it once."""

from __future__ import annotations

from collections import Counter

import numpy as np
import onnx
import pytest

from splitnet.errors import ModelError, UsageError
from splitnet.graph.extract import serialise
from splitnet.graph.merge import merge
from splitnet.graph.split import split_network
from splitnet.runtime.onnxruntime_engine import OnnxGraph

TRUNK = """
    c1 = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(image, w1)
    r1 = Relu(c1)
    c2 = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(r1, w2)
    r2 = Relu(c2)
    pool = GlobalAveragePool(r2)
    flat = Flatten(pool)
"""
SCORES, VECTOR = "s = MatMul(flat, w3)  scores = Relu(s)", "v = MatMul(flat, w3)  vector = Tanh(v)"


def network(
    body: str, outputs: str, *, seed: int = 0, shape: str = "N, 3, 8, 8", opset: int = 17, **seeds: int
) -> onnx.ModelProto:
    """A network with random weights w1, w2, w3; a weight named in `seeds` is drawn from another seed."""
    model: onnx.ModelProto = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {opset}]> g (float[{shape}] image) => ({outputs}) {{ {body} }}'
    )
    for name, dims in (("w1", (4, 3, 3, 3)), ("w2", (4, 4, 3, 3)), ("w3", (4, 5))):
        values = np.random.default_rng([seeds.get(name, seed), *name.encode()]).standard_normal(dims)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values.astype(np.float32), name))
    return model


def cats() -> onnx.ModelProto:
    return network(TRUNK + SCORES, "float[N, 5] scores")


def dogs() -> onnx.ModelProto:
    return renamed(network(TRUNK + VECTOR, "float[N, 5] vector", w3=1), "d_")


def renamed(model: onnx.ModelProto, prefix: str) -> onnx.ModelProto:
    """The same with other names for all tensors but the outputs, and its weights stored in another field and order."""
    kept = {value.name for value in model.graph.output}
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [name if name in kept else prefix + name for name in names]
    model.graph.input[0].name = prefix + model.graph.input[0].name
    tensors = [onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    weights = [prefix + tensor.name for tensor in model.graph.initializer]
    del model.graph.initializer[:]
    for name, array in reversed(list(zip(weights, tensors, strict=True))):
        model.graph.initializer.append(
            onnx.helper.make_tensor(name, onnx.TensorProto.FLOAT, array.shape, array.ravel())
        )
    return model


def run(model: onnx.ModelProto, image: np.ndarray) -> dict[str, np.ndarray]:
    graph = OnnxGraph(serialise(model))
    return dict(zip([spec.name for spec in graph.outputs], graph.run({graph.inputs[0].name: image}), strict=True))


def operators(model: onnx.ModelProto) -> Counter[str]:
    return Counter(node.op_type for node in model.graph.node)


def test_the_trunk_runs_once_and_the_outputs_are_the_separate_networks() -> None:
    merged = merge({"cats": cats(), "dogs": dogs()})
    onnx.checker.check_model(merged)
    assert operators(merged) == Counter(Conv=2, Relu=3, GlobalAveragePool=1, Flatten=1, MatMul=2, Tanh=1)
    assert [output.name for output in merged.graph.output] == ["scores", "vector"]
    assert sorted(tensor.name for tensor in merged.graph.initializer) == ["d_w3", "w1", "w2", "w3"]
    for batch in (1, 3):
        image = np.random.default_rng(batch).standard_normal((batch, 3, 8, 8)).astype(np.float32)
        found = run(merged, image)
        for name, expected in (run(cats(), image) | run(dogs(), image)).items():
            np.testing.assert_allclose(found[name], expected, rtol=1e-6, atol=1e-6)


def test_the_cloud_graph_of_a_cut_in_the_trunk_holds_its_rest_once() -> None:
    split = split_network(merge({"cats": cats(), "dogs": dogs()}), ["scores", "vector"])
    assert split.shared == "flat"
    cut = next(cut for cut in split.cuts if cut.tensor == "r1")
    assert operators(split.cloud(cut)) == Counter(Conv=1, Relu=1, GlobalAveragePool=1, Flatten=1)
    assert {name: operators(head) for name in split.outputs if (head := split.head(name)) is not None} == {
        "scores": Counter(MatMul=1, Relu=1),
        "vector": Counter(MatMul=1, Tanh=1),
    }


def test_three_share_what_they_have_in_common() -> None:
    early = network(
        "c1 = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(image, w1)  edges = Abs(c1)", "float[N, 4, 8, 8] edges"
    )
    merged = merge({"cats": cats(), "dogs": dogs(), "early": early})
    assert operators(merged)["Conv"] == 2
    assert [output.name for output in merged.graph.output] == ["scores", "vector", "edges"]


def test_outputs_of_one_name_get_their_networks_in_front() -> None:
    other = network(TRUNK + SCORES, "float[N, 5] scores", w3=1)
    merged = merge({"cats": cats(), "dogs": other})
    assert [output.name for output in merged.graph.output] == ["cats.scores", "dogs.scores"]
    image = np.ones((1, 3, 8, 8), np.float32)
    found = run(merged, image)
    np.testing.assert_allclose(found["cats.scores"], run(cats(), image)["scores"], rtol=1e-6)
    np.testing.assert_allclose(found["dogs.scores"], run(other, image)["scores"], rtol=1e-6)


def test_an_output_that_is_the_same_is_one() -> None:
    merged = merge({"cats": cats(), "copy": cats()})
    assert [output.name for output in merged.graph.output] == ["scores"]
    assert operators(merged) == operators(cats())


def test_an_output_of_one_may_lie_inside_another() -> None:
    inner = renamed(network(TRUNK, "float[N, 4] flat"), "i_")
    merged = merge({"cats": cats(), "inner": inner})
    assert operators(merged) == operators(cats())
    assert [output.name for output in merged.graph.output] == ["scores", "flat"]


def test_a_fixed_batch_fixes_the_batch() -> None:
    fixed = network(TRUNK + VECTOR, "float[1, 5] vector", shape="1, 3, 8, 8")
    merged = merge({"cats": cats(), "fixed": fixed})
    assert merged.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1


@pytest.mark.parametrize(
    ("other", "kind", "message"),
    [
        (
            network(TRUNK + VECTOR, "float[N, 5] vector", w1=1),
            ModelError,
            "share no layer: the weights of their first Conv",
        ),
        (
            network(TRUNK.replace("[1, 1, 1, 1]", "[0, 0, 0, 0]") + VECTOR, "float[N, 5] vector"),
            ModelError,
            "share no layer: the attributes of their first Conv differ",
        ),
        (network("y = Relu(image)", "float[N, 3, 8, 8] y"), ModelError, "begins with Conv, the other with Relu"),
        (network(TRUNK, "float[N, 4] flat", shape="N, 3, 9, 8"), UsageError, "cats takes images of 8x8, other of 9x8"),
        (
            network(TRUNK, "float[N, 4] flat", opset=16),
            ModelError,
            "cats uses version 17 of the operators of ONNX, other",
        ),
    ],
)
def test_what_does_not_belong_together(other: onnx.ModelProto, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        merge({"cats": cats(), "other": other})


def test_random_nodes_are_never_the_same() -> None:
    noisy = "n = RandomNormalLike(image)  a = Relu(image)  y = Add(a, n)"
    one, other = (network(noisy, "float[N, 3, 8, 8] y") for _ in range(2))
    merged = merge({"one": one, "other": other})
    assert operators(merged) == Counter(RandomNormalLike=2, Relu=1, Add=2)


def test_control_flow_is_not_merged() -> None:
    other = cats()
    branch = onnx.parser.parse_graph("t () => (float[N, 5] r) { r = Neg(s) }")
    other.graph.node.append(onnx.helper.make_node("If", ["k"], ["z"], then_branch=branch, else_branch=branch))
    with pytest.raises(ModelError, match=r"other has control flow \(If\)"):
        merge({"cats": cats(), "other": other})


def test_local_functions_are_written_out() -> None:
    text = """<ir_version: 8, opset_import: ["" : 17, "own" : 1]>
        g (float[N, 3, 8, 8] image) => (float[N, 3, 8, 8] y) { a = Relu(image)  y = own.twice(a) }
        <opset_import: ["" : 17], domain: "own"> twice (x) => (y) { y = Add(x, x) }"""
    plain = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[N, 3, 8, 8] image) => (float[N, 3, 8, 8] z)'
        " { a = Relu(image)  b = Add(a, a)  z = Neg(b) }"
    )
    merged = merge({"one": onnx.parser.parse_model(text), "two": plain})
    assert operators(merged) == Counter(Relu=1, Add=1, Neg=1)
