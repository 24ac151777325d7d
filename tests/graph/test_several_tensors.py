"""Cuts where several tensors cross: skip connections, branches, outputs that share nothing."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from splitnet.graph.extract import serialise
from splitnet.graph.split import CutPoint, SplitNetwork, split_network
from splitnet.runtime import Array
from splitnet.runtime.onnxruntime_engine import OnnxGraph


def model(body: str, outputs: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g (float[N, 3, 8, 8] x) => ({outputs}) {{ {body} }}'
    )


POOL = "MaxPool<kernel_shape = [2, 2], strides = [2, 2]>"
UP = 'Resize<mode = "nearest">'
SKIPS = f"""
    a = Relu(x)  p = {POOL}(a)  q = Sin(p)  r = {POOL}(q)  s = Cos(r)  t = Tanh(s)
    scale = Constant<value_floats = [1.0, 1.0, 2.0, 2.0]>()
    u = {UP}(t, , scale)  v = Add(u, q)  w = {UP}(v, , scale)  m = Concat<axis = 1>(w, a)  y = Exp(m)
"""


def names(split: SplitNetwork) -> list[tuple[str, ...]]:
    return [cut.tensors for cut in split.cuts]


def answers(split: SplitNetwork, cut: CutPoint, image: Array) -> list[Array]:
    edge, cloud = OnnxGraph(serialise(split.edge(cut))), OnnxGraph(serialise(split.cloud(cut)))
    assert tuple(spec.name for spec in edge.outputs) == cut.tensors
    features = edge.run({split.source: image})
    assert [one.shape[1:] for one in features] == [one.shape for one in cut.crossing]
    found = cloud.run(dict(zip(cut.tensors, features, strict=True)))
    ends = dict(zip(split.ends, found, strict=True))
    heads = {name: split.head(name) for name in split.outputs}
    return [
        ends[name]
        if head is None
        else OnnxGraph(serialise(head)).run({split.shared or "": ends[split.shared or ""]})[0]
        for name, head in heads.items()
    ]


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("body", "outputs"),
    [
        pytest.param(SKIPS, ["y"], id="skip connections"),
        pytest.param("a = Relu(x)  y = Add(a, x)", ["y"], id="the input crosses too"),
        pytest.param("a = Relu(x)  b = Sin(x)  c = Cos(a)  d = Abs(b)  y = Mul(c, d)", ["y"], id="two branches"),
        pytest.param("a = Relu(x)  b = Sin(x)  y = Cos(a)  z = Abs(b)", ["y", "z"], id="outputs that share nothing"),
        pytest.param("y = Relu(x)  b = Sin(x)  z = Add(y, b)", ["y", "z"], id="an output is used further on"),
        pytest.param(
            f"a = {POOL}(x)  b = {POOL}(x)  s = Concat<axis = 2>(a, b, a)  y = Cos(s)  z = Abs(s)",
            ["y", "z"],
            id="heads behind",
        ),
    ],
)
def test_every_split_gives_the_whole_networks_outputs(body: str, outputs: list[str], batch: int) -> None:
    split = split_network(model(body, ", ".join(f"float[N, C, H, W] {name}" for name in outputs)), outputs)
    assert any(cut.more for cut in split.cuts)
    image = np.random.default_rng(batch).standard_normal((batch, 3, 8, 8)).astype(np.float32)
    expected = OnnxGraph(serialise(split.whole)).run({"x": image})
    for cut in split.cuts:
        for found, wanted in zip(answers(split, cut, image), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_bottlenecks_are_kept_although_skips_make_them_larger_than_the_first_layer() -> None:
    split = split_network(model(SKIPS, "float[N, 6, 8, 8] y"), ["y"])
    assert names(split) == [("a",), ("v", "a"), ("m",)]
    assert [sum(one.nbytes for one in cut.crossing) for cut in split.cuts] == [4 * 192, 4 * 240, 4 * 384]


def test_a_residual_network_keeps_its_single_tensors() -> None:
    body = "a = Relu(x)  b = Sin(a)  c = Add(a, b)  d = Cos(c)  e = Add(c, d)  y = Abs(e)"
    assert names(split_network(model(body, "float[N, 3, 8, 8] y"), ["y"])) == [("a",), ("c",), ("e",)]


def test_outputs_that_share_nothing_are_computed_by_the_cloud_graph_itself() -> None:
    split = split_network(
        model("a = Relu(x)  b = Sin(x)  y = Cos(a)  z = Abs(b)", "float[N, 3, 8, 8] y, float[N, 3, 8, 8] z"), ["y", "z"]
    )
    assert split.shared is None
    assert split.ends == ("y", "z")
    assert split.head("y") is None


def test_candidates_are_single_tensors() -> None:
    body = "a = Relu(x)  b = Sin(a)  c = Add(a, b)  y = Abs(c)"
    assert names(split_network(model(body, "float[N, 3, 8, 8] y"), ["y"], ["c"])) == [("c",)]
