"""The input: its layout, and what is no image."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from splitnet.errors import ModelError, UsageError
from splitnet.graph.extract import serialise
from splitnet.graph.image import fix_image_input
from splitnet.runtime.onnxruntime_engine import OnnxGraph


def network(dims: str, name: str = "x") -> onnx.ModelProto:
    model: onnx.ModelProto = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g (float[{dims}] {name}) => (float[N, A, B, C] y)'
        f" {{ a = Relu({name})  y = Add(a, {name}) }}"
    )
    return model


def dims(model: onnx.ModelProto) -> list[int | str]:
    return [d.dim_value or d.dim_param for d in model.graph.input[0].type.tensor_type.shape.dim]


@pytest.mark.parametrize("free", ["N, H, W, C", "N, 6, 4, 3"])
def test_channels_last_gets_a_transpose_in_front(free: str) -> None:
    model = fix_image_input(network(free), "net", (6, 4), "nhwc")
    assert (model.graph.input[0].name, dims(model)) == ("image", ["N", 3, 6, 4])
    onnx.checker.check_model(model)
    image = np.random.default_rng(0).standard_normal((2, 3, 6, 4)).astype(np.float32)
    (y,) = OnnxGraph(serialise(model)).run({"image": image})
    last = image.transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(y, np.maximum(last, 0) + last)


def test_an_input_called_image_keeps_its_name_inside() -> None:
    model = fix_image_input(network("N, 6, 4, 3", "image"), "net", None, "nhwc")
    assert model.graph.input[0].name == "image_"
    onnx.checker.check_model(model)


def test_channels_first_stays_as_it_is() -> None:
    model = fix_image_input(network("N, 3, H, W"), "net", (6, 4))
    assert dims(model) == ["N", 3, 6, 4]
    assert [node.op_type for node in model.graph.node] == ["Relu", "Add"]


def test_the_other_layout_is_named_where_it_fits() -> None:
    with pytest.raises(ModelError, match="does not have 3 channels in second place; say --layout nhwc"):
        fix_image_input(network("N, 6, 4, 3"), "net")
    with pytest.raises(ModelError, match="does not have 3 channels in last place; say --layout nchw"):
        fix_image_input(network("N, 3, 6, 4"), "net", None, "nhwc")
    with pytest.raises(ModelError, match=r"in last place$"):
        fix_image_input(network("N, 6, 4, 1"), "net", None, "nhwc")


def test_sizes_of_channels_last() -> None:
    with pytest.raises(UsageError, match="net leaves the image's height free: say it with --size"):
        fix_image_input(network("N, H, W, 3"), "net", None, "nhwc")
    with pytest.raises(UsageError, match="--size says width 5, but net fixes it to 4"):
        fix_image_input(network("N, 6, 4, 3"), "net", (6, 5), "nhwc")
