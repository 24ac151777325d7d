"""Inputs that are no images: what is taken for one, and which shape it gets."""

from __future__ import annotations

import onnx
import pytest

from splitnet.errors import ModelError, UsageError
from splitnet.graph.inputs import fix_tensor_input, looks_like_image, single_input
from splitnet.graph.merge import merge


def network(dims: str, kind: str = "float", node: str = "Relu") -> onnx.ModelProto:
    shape = f"[{dims}]" if dims else ""
    model: onnx.ModelProto = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> g ({kind}{shape} x) => ({kind}{shape} y) {{ y = {node}(x) }}'
    )
    return model


def dims(model: onnx.ModelProto) -> list[int | str]:
    return [d.dim_value or d.dim_param for d in model.graph.input[0].type.tensor_type.shape.dim]


@pytest.mark.parametrize(
    ("shape", "image"),
    [
        ("N, 3, 8, 9", True),
        ("N, 3, H, W", True),
        ("N, C, H, W", True),
        ("N, 8, 9, 3", True),
        ("N, 1, 40, 101", False),
        ("N, 64", False),
        ("N, 3, 16", False),
        ("N, 3, 4, 16, 16", False),
    ],
)
def test_what_is_taken_for_an_image(shape: str, image: bool) -> None:
    assert looks_like_image(single_input(network(shape), "net")) is image


def test_a_fixed_shape_needs_no_words() -> None:
    assert dims(fix_tensor_input(network("N, 1, 40, 101"), "net")) == ["N", 1, 40, 101]
    assert dims(fix_tensor_input(network("1, 64"), "net", (64,))) == [1, 64]


def test_a_free_side_gets_the_shape_that_is_said() -> None:
    assert dims(fix_tensor_input(network("N, 1, 40, T"), "net", (1, 40, 101))) == ["N", 1, 40, 101]
    with pytest.raises(UsageError, match=r"net leaves the input 'x' .* free: .* as in --shape 1x40x100$"):
        fix_tensor_input(network("N, 1, 40, T"), "net")


def test_minus_one_is_free() -> None:
    model = network("N, 64")
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = -1
    with pytest.raises(UsageError, match="leaves the input"):
        fix_tensor_input(model, "net")
    assert dims(fix_tensor_input(model, "net", (64,))) == ["N", 64]


def test_an_input_without_any_shape_gets_one() -> None:
    model = network("N, 64")
    model.graph.input[0].type.tensor_type.ClearField("shape")
    with pytest.raises(UsageError, match="net leaves the input 'x' free: say its --shape"):
        fix_tensor_input(model, "net")
    assert dims(fix_tensor_input(model, "net", (8, 8))) == ["", 8, 8]


@pytest.mark.parametrize(
    ("shape", "said", "kind", "message"),
    [
        ("N, 64", (63,), UsageError, r"--shape says 63, but net takes 'x' \['N', 64\], batch included"),
        ("N, 64", (1, 64), UsageError, "--shape says 1x64, but net takes"),
        ("7, 64", None, ModelError, "fixes the batch to 7; export it with a free one"),
        ("64", None, ModelError, r"the input 'x' \[64\] has no batch in front"),
        ("N, 1048576, 1048576", None, ModelError, "has more than 268435456 values"),
        ("N, T", (1 << 30,), UsageError, "has more than 268435456 values"),
    ],
)
def test_shapes_that_cannot_be(shape: str, said: tuple[int, ...] | None, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        fix_tensor_input(network(shape), "net", said)


def test_other_types_and_several_inputs() -> None:
    with pytest.raises(ModelError, match=r"net: the input 'x' \['N', 64\] is INT64; a network's input must be float32"):
        fix_tensor_input(network("N, 64", "int64", "Abs"), "net", (64,))
    model = network("N, 64")
    model.graph.input.add().CopyFrom(model.graph.input[0])
    model.graph.input[1].name = "z"
    with pytest.raises(ModelError, match="net needs exactly one input; it has 2: x, z"):
        fix_tensor_input(model, "net")


def test_networks_that_share_a_trunk() -> None:
    one, other = network("N, 64"), network("N, 64")
    other.graph.node.append(onnx.helper.make_node("Tanh", ["y"], ["t"]))
    other.graph.output[0].name = "t"
    merged = merge({"one": one, "other": other})
    assert [node.op_type for node in merged.graph.node] == ["Relu", "Tanh"]
    with pytest.raises(UsageError, match="one takes inputs of 64, longer of 65: one bundle has one input"):
        merge({"one": one, "longer": network("N, 65")})
    with pytest.raises(UsageError, match="one takes inputs of 1x8x8, other of 2x8x8"):
        merge({"one": network("N, 1, 8, 8"), "other": network("N, 2, 8, 8")})
