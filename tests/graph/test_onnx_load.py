"""Foreign ONNX files: what is taken, and one clear line for what is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from splitnet.errors import ModelError, UsageError
from splitnet.graph.load import load_onnx


def write(tmp_path: Path, signature: str, body: str = "y = Relu(x)") -> Path:
    model = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["" : 17]> g {signature} {{ {body} }}')
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    return path


def dims(model: onnx.ModelProto) -> list[int | str]:
    return [d.dim_value or d.dim_param for d in model.graph.input[0].type.tensor_type.shape.dim]


def test_free_sides_take_the_size_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path, "(float[N, 3, H, W] x) => (float[N, 3, H, W] y)")
    assert dims(load_onnx(path, (32, 64))) == ["N", 3, 32, 64]
    with pytest.raises(UsageError, match="height free: say it with --size"):
        load_onnx(path)


def test_minus_one_is_free_too(tmp_path: Path) -> None:
    path = write(tmp_path, "(float[N, 3, H, W] x) => (float[N, 3, H, W] y)")
    model = onnx.load(path)
    for dim in model.graph.input[0].type.tensor_type.shape.dim:
        dim.dim_value = -1
    path.write_bytes(model.SerializeToString())
    assert dims(load_onnx(path, (32, 64))) == ["", 3, 32, 64]


def test_a_size_that_contradicts_the_graph(tmp_path: Path) -> None:
    path = write(tmp_path, "(float[1, 3, 8, 8] x) => (float[1, 3, 8, 8] y)")
    assert dims(load_onnx(path, (8, 8))) == [1, 3, 8, 8]
    with pytest.raises(UsageError, match="--size says width 9"):
        load_onnx(path, (8, 9))


@pytest.mark.parametrize(
    ("signature", "body", "message"),
    [
        ("(float[N, 3, 8, 8] x, float[1] z) => (float[N, 3, 8, 8] y)", "y = Add(x, z)", "it has 2: x, z"),
        ("(float[N, 8, 8, 3] x) => (float[N, 8, 8, 3] y)", "y = Relu(x)", "does not have 3 channels in second place"),
        ("(float[N, 10] x) => (float[N, 10] y)", "y = Relu(x)", "is not a float32 image"),
        ("(int64[N, 3, 8, 8] x) => (int64[N, 3, 8, 8] y)", "y = Abs(x)", "is not a float32 image"),
        ("(float[4, 3, 8, 8] x) => (float[4, 3, 8, 8] y)", "y = Relu(x)", "fixes the batch to 4"),
        (
            "(float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y)",
            "y = Relu(b) b = Relu(x)",
            "not a valid ONNX network: its nodes are not sorted: 'b' is read before it is computed; export it again",
        ),
        (
            "(float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y)",
            "y = Neg(c) a = Add(x, b) b = Relu(a) c = Abs(b)",
            "not a valid ONNX network: its nodes go round in a cycle through '[ab]'",
        ),
        (
            "(float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y)",
            "y = Add(x, w)",
            "a node Add reads 'w', which is neither an input nor computed, and its weights are missing",
        ),
        ("(float[N, 3, 8, 8] x) => (float[N, 3, 8, 8] y)", "y = Nonsense(x)", "not a valid ONNX network"),
    ],
)
def test_networks_that_are_not_taken(tmp_path: Path, signature: str, body: str, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        load_onnx(write(tmp_path, signature, body))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "holds no network"), (b"\xff" * 100, "not an ONNX file"), (b"not a network at all", "not an ONNX file")],
)
def test_files_that_are_not_onnx(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=message):
        load_onnx(path)


def test_a_file_cut_short(tmp_path: Path, tiny_network: Path) -> None:
    data = tiny_network.read_bytes()
    path = tmp_path / "model.onnx"
    for length in range(1, len(data), 97):
        path.write_bytes(data[:length])
        with pytest.raises(ModelError):
            load_onnx(path)


def test_no_file_and_no_permission(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is not a file"):
        load_onnx(tmp_path / "absent.onnx")
    with pytest.raises(ModelError, match="is not a file"):
        load_onnx(tmp_path)


def test_initializers_listed_as_inputs_are_not_inputs(tmp_path: Path, tiny_network: Path) -> None:
    model = onnx.load(tiny_network)
    model.graph.input.append(onnx.helper.make_tensor_value_info("w1", onnx.TensorProto.FLOAT, [4, 3, 3, 3]))
    path = tmp_path / "old.onnx"
    path.write_bytes(model.SerializeToString())
    loaded = load_onnx(path)
    assert onnx.numpy_helper.to_array(loaded.graph.initializer[0]).dtype == np.float32
