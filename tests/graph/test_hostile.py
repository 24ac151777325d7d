"""Broken and hostile models: one clear line, bounded memory, nothing written."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnx
import pytest

CHECK = Path(__file__).with_name("hostile_check.py")

HUGE = 1 << 29
"""Values of float32 that make 2 GiB."""


def parsed(body: str, signature: str = "(float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y)") -> onnx.ModelProto:
    model: onnx.ModelProto = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g {signature} {{ {body} }}'
    )
    return model


def with_weights(**fields: object) -> onnx.ModelProto:
    model = parsed("a = Relu(x)  y = Mul(a, w)")
    model.graph.initializer.add(name="w", data_type=onnx.TensorProto.FLOAT, **fields)
    return model


def sparse(dims: list[int]) -> onnx.ModelProto:
    model = parsed("a = Relu(x)  y = Mul(a, w)")
    one = model.graph.sparse_initializer.add(dims=dims)
    one.values.CopyFrom(onnx.TensorProto(name="w", data_type=1, dims=[1], float_data=[1.0]))
    one.indices.CopyFrom(onnx.TensorProto(name="i", data_type=7, dims=[1], int64_data=[0]))
    return model


def constant_of_shape() -> onnx.ModelProto:
    model = parsed("a = Relu(x)  c = ConstantOfShape(s)  m = ReduceMax<keepdims = 0>(c)  y = Add(a, m)")
    model.graph.initializer.add(name="s", data_type=7, dims=[2], int64_data=[1 << 20, 1 << 12])
    return model


def outside() -> onnx.ModelProto:
    model = with_weights(dims=[1])
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    model.graph.initializer[0].external_data.add(key="location", value="../../../etc/passwd")
    return model


MODELS = {
    "cycle": (parsed("a = Add(x, b)  b = Relu(a)  y = Neg(b)"), "its nodes go round in a cycle"),
    "missing-weights": (parsed("a = Relu(x)  y = Mul(a, w)"), "reads 'w', which is neither an input nor computed"),
    "outside": (outside(), "outside the model's folder"),
    "claim-raw": (with_weights(dims=[HUGE - 1], raw_data=bytes(16)), "need 2147483644 bytes, but the file holds 16"),
    "claim-typed": (with_weights(dims=[1000, 1000], float_data=[1.0]), "need 4000000 bytes, but the file holds 4"),
    "claim-nothing": (with_weights(dims=[1 << 20]), "need 4194304 bytes, but the file holds 0"),
    "claim-2-gib": (with_weights(dims=[HUGE]), "its weights claim more than the 2 GiB"),
    "claim-overflow": (with_weights(dims=[1 << 62, 1 << 62]), "its weights claim more than the 2 GiB"),
    "claim-endless": (with_weights(dims=[1 << 62] * 200_000), "its weights claim more than the 2 GiB"),
    "claim-negative": (with_weights(dims=[-1]), "have the impossible shape [-1]"),
    "claim-sparse": (sparse([1 << 40]), "its weights claim more than the 2 GiB"),
    "claim-computed": (constant_of_shape(), "would take 17179869184 bytes, more than 2 GiB"),
    "no-batch": (parsed("a = Relu(x)  y = Neg(a)", "(float[10] x) => (float[10] y)"), "has no batch in front"),
    "tokens": (parsed("a = Abs(x)  y = Neg(a)", "(int64[N, 10] x) => (int64[N, 10] y)"), "is not a float32 image"),
}


def test_each_is_one_line_in_little_memory(tmp_path: Path, tiny_network: Path) -> None:
    expected = {"tiny-cut-short": "is not an ONNX file"}
    data = tiny_network.read_bytes()
    tiny_network.with_name("tiny-cut-short.onnx").write_bytes(data[: len(data) // 2])
    tiny_network.unlink()
    for name, (model, message) in MODELS.items():
        (tmp_path / f"{name}.onnx").write_bytes(model.SerializeToString())
        expected[name] = message
    done = subprocess.run([sys.executable, str(CHECK), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found.keys() == expected.keys()
    for name, (kind, message) in found.items():
        assert kind == "ModelError", name
        assert expected[name] in message
        assert f"{name}.onnx" in message or name == "claim-computed"
        assert "\n" not in message
        assert len(message) < 500
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.onnx" for name in expected}


def test_image_flags_for_an_input_that_is_no_image(tmp_path: Path) -> None:
    path = tmp_path / "tokens.onnx"
    path.write_bytes(MODELS["tokens"][0].SerializeToString())
    command = [sys.executable, "-m", "splitnet", "build", str(path), "--cuts", "all", "--out", str(tmp_path / "out")]
    done = subprocess.run([*command, "--size", "8x8", "--mean", "127"], capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert "the input 'x' ['N', 10] is not a float32 image of shape (N, 3, height, width)" in done.stderr
    assert done.stderr.startswith("splitnet: ")
    assert done.stderr.count("\n") == 1
    assert {entry.name for entry in tmp_path.iterdir()} == {"tokens.onnx"}


@pytest.mark.parametrize("dims", [[0], [3, 0, 4]])
def test_empty_weights_are_weights(tmp_path: Path, dims: list[int]) -> None:
    from splitnet.graph.load import read_onnx

    model = parsed("y = Relu(x)")
    model.graph.initializer.add(name="w", data_type=onnx.TensorProto.FLOAT, dims=dims, raw_data=b"")
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    assert list(read_onnx(tmp_path / "net.onnx").model.graph.initializer[0].dims) == dims
