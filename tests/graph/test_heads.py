"""More heads on a network's tensors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from splitnet.errors import ModelError, UsageError
from splitnet.graph.extract import serialise
from splitnet.graph.heads import attach
from splitnet.graph.load import load_onnx
from splitnet.runtime.onnxruntime_engine import OnnxGraph

BODY = "a = MatMul(x, w1)  y = Tanh(a)"


def head(signature: str = "(float[N, 8] x) => (float[N, 2] y)", body: str = BODY, opset: int = 17) -> onnx.ModelProto:
    model: onnx.ModelProto = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : {opset}]> h {signature} {{ {body} }}'
    )
    weights = np.arange(16, dtype=np.float32).reshape(8, 2) / 100
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w1"))
    return model


@pytest.mark.parametrize("opset", [17, 13])
def test_a_head_goes_on_from_its_tensor(tiny_network: Path, opset: int) -> None:
    model = load_onnx(tiny_network)
    image = np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32)
    before = OnnxGraph(serialise(model)).run({"image": image})
    attach(model, head(opset=opset), "flat", "extra", "age.onnx")
    onnx.checker.check_model(model)
    assert [output.name for output in model.graph.output] == ["scores", "vector", "extra"]
    graph = OnnxGraph(serialise(model))
    *others, extra = graph.run({"image": image})
    for mine, theirs in zip(others, before, strict=True):
        np.testing.assert_array_equal(mine, theirs)
    model.graph.output.append(onnx.ValueInfoProto(name="flat"))
    flat = OnnxGraph(serialise(model)).run({"image": image}, ["flat"])[0]
    np.testing.assert_allclose(extra, OnnxGraph(serialise(head())).run({"x": flat})[0], rtol=1e-6)


@pytest.mark.parametrize(
    ("made", "tensor", "output", "kind", "message"),
    [
        (head(), "flatt", "extra", UsageError, "the network has no tensor 'flatt': did you mean flat"),
        (head(), "zzz", "extra", UsageError, "no tensor 'zzz': `splitnet inspect --all`"),
        (head(), "flat", "scores", UsageError, "has a tensor 'scores' already: call the head something else"),
        (head(), "r1", "extra", ModelError, r"takes FLOAT \['\?', 8\], but the tensor 'r1' is FLOAT \[1, 4"),
        (head("(int64[N, 8] x) => (int64[N, 8] y)", "y = Abs(x)"), "flat", "extra", ModelError, "takes INT64"),
        (head("(float[4, 8] x) => (float[4, 2] y)"), "flat", "extra", ModelError, "fixes the batch to 4"),
        (head("(float[N, 8] x) => (float[N, 2] y, float[N, 2] a)"), "flat", "extra", ModelError, "1 inputs and 2 out"),
        (head("(float[N, 8] x, float[N, 2] z) => (float[N, 2] y)"), "flat", "extra", ModelError, "2 inputs and 1 out"),
        (head(body="a = Gelu(x)  y = MatMul(a, w1)", opset=20), "flat", "extra", ModelError, "with opset_version=17"),
    ],
)  # fmt: skip
def test_heads_that_do_not_fit(
    tiny_network: Path, made: onnx.ModelProto, tensor: str, output: str, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        attach(load_onnx(tiny_network), made, tensor, output, "age.onnx")
