"""Networks that take any size: which axes follow it, and graphs that keep them free."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from splitnet.errors import ModelError, UsageError
from splitnet.graph.image import fix_image_input
from splitnet.graph.load import load_onnx, read_onnx
from splitnet.graph.sides import MOST_SIDE, another, doubled
from splitnet.graph.split import SplitNetwork, split_network
from splitnet.runtime.onnxruntime_engine import OnnxGraph

HEAD = '<ir_version: 8, opset_import: ["" : 17]>'


@pytest.fixture(scope="module")
def split(pyramid_file: Path) -> SplitNetwork:
    model = fix_image_input(read_onnx(pyramid_file).model, "pyramid", (32, 48), any_size=True)
    return split_network(model, ["mask", "scores"], multiple=8)


def network(text: str) -> onnx.ModelProto:
    return onnx.parser.parse_model(f"{HEAD} {text}")


def nominal(model: onnx.ModelProto, size: tuple[int, int] = (8, 8)) -> onnx.ModelProto:
    return fix_image_input(model, "net", size, any_size=True)


def test_axes_that_follow_the_size(split: SplitNetwork) -> None:
    assert {cut.tensor: cut.free for cut in split.cuts} == {
        "stem": (1, 2),
        "r1": (1, 2),
        "deep": (1, 2),
        "both": (1, 2),
    }
    (two,) = (cut for cut in split.cuts if cut.more)
    assert [(one.tensor, one.shape, one.free) for one in two.crossing] == [
        ("deep", (4, 8, 12), (1, 2)),
        ("r1", (4, 16, 24), (1, 2)),
    ]
    assert split.input_cut.free == (1, 2)
    assert split.free["mask"] == (1, 2)
    assert split.free["scores"] == ()


def test_shapes_and_costs_are_those_of_the_nominal_size(split: SplitNetwork, pyramid_file: Path) -> None:
    fixed = split_network(load_onnx(pyramid_file, (32, 48)), ["mask", "scores"])
    for one, other in zip(split.cuts, fixed.cuts, strict=True):
        assert (one.tensors, one.shape, one.macs_before) == (other.tensors, other.shape, other.macs_before)
    assert not any(cut.free for cut in fixed.cuts)
    assert fixed.free == {}


def test_graphs_keep_the_axes_free(split: SplitNetwork) -> None:
    assert [spec.shape for spec in OnnxGraph(split.whole.SerializeToString()).inputs] == [(None, 3, None, None)]
    for cut in split.cuts:
        edge = OnnxGraph(split.edge(cut).SerializeToString())
        cloud = OnnxGraph(split.cloud(cut).SerializeToString())
        assert [spec.shape for spec in edge.inputs] == [(None, 3, None, None)]
        assert [spec.shape for spec in edge.outputs] == [(None, 4, None, None)] * len(cut.crossing)
        assert [spec.shape for spec in cloud.inputs] == [spec.shape for spec in edge.outputs]


@pytest.mark.parametrize("size", [(8, 8), (32, 48), (40, 16), (64, 96)])
def test_any_cut_at_any_size(split: SplitNetwork, size: tuple[int, int]) -> None:
    image = np.random.default_rng(size[0]).standard_normal((2, 3, *size), np.float32)
    whole = OnnxGraph(split.whole.SerializeToString()).run({"photo": image}, ["mask", "scores"])
    assert whole[0].shape == (2, 2, *size)
    for cut in (split.input_cut, *split.cuts):
        crossing = OnnxGraph(split.edge(cut).SerializeToString()).run({"photo": image}, list(cut.tensors))
        feeds = dict(zip(cut.tensors, crossing, strict=True))
        (shared,) = OnnxGraph(split.cloud(cut).SerializeToString()).run(feeds)
        for task, expected in zip(("mask", "scores"), whole, strict=True):
            head = split.head(task)
            assert head is not None
            (found,) = OnnxGraph(head.SerializeToString()).run({str(split.shared): shared})
            np.testing.assert_array_equal(found, expected)


def test_a_pool_is_fixed_and_a_flattened_map_is_free() -> None:
    model = network("""
        net (float[N, 3, H, W] x) => (float[N, K] y, float[N, 3] z) {
            a = Relu(x)  f = Flatten(a)  y = Tanh(f)  p = GlobalAveragePool(a)  q = Flatten(p)  z = Tanh(q)
        }
    """)
    split = split_network(nominal(model), ["y", "z"], multiple=4)
    alone = split_network(model, ["z"], multiple=4)
    assert split.free["y"] == (0,)
    assert split.free["z"] == ()
    assert {cut.tensor: (cut.shape, cut.free) for cut in alone.cuts} == {
        "a": ((3, 8, 8), (1, 2)),
        "p": ((3, 1, 1), ()),
        "q": ((3,), ()),
    }


@pytest.mark.parametrize(
    ("body", "message"),
    [
        # 3 * 8 * 8 values into a matrix of 192 rows: right at 8x8 alone.
        (
            "a = Relu(x)  f = Flatten(a)  y = MatMul(f, w)",
            r"the network does not take any size: at 16x8 .*; build it without --any-size",
        ),
        # The batch grows with the image: answers of several requests would be mixed up.
        (
            "a = Relu(x)  f = Reshape(a, rows)  y = MatMul(f, w)",
            r"any size: at 16x8 the output 'y' is \(2, 2\), batch included",
        ),
    ],
)
def test_networks_for_one_size_alone(body: str, message: str) -> None:
    model = network(f"net (float[N, 3, H, W] x) => (float[N, 2] y) <int64[2] rows = {{-1, 192}}> {{ {body} }}")
    weights = np.ones((192, 2), np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    split_network(fix_image_input(model, "net", (8, 8)), ["y"])
    with pytest.raises(ModelError, match=message) as caught:
        split_network(model, ["y"], multiple=4)
    assert "\n" not in str(caught.value)


def test_a_tensor_whose_batch_changes_is_no_cut() -> None:
    model = network("""
        net (float[N, 3, H, W] x) => (float[N, 3, H, W] y)
        <int64[2] rows = {-1, 192}, int64[4] back = {1, 3, -1, 8}> {
            a = Relu(x)  f = Reshape(a, rows)  t = Tanh(f)  b = Reshape(t, back)  y = Tanh(b)
        }
    """)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    fixed = split_network(fix_image_input(model, "net", (8, 8)), ["y"])
    assert [cut.tensor for cut in fixed.cuts] == ["a", "f", "t", "b"]
    assert [cut.tensor for cut in split_network(model, ["y"], multiple=8).cuts] == ["a", "b"]


@pytest.mark.parametrize("fixed", ["3, 8, W", "3, H, 8", "3, 8, 8"])
def test_a_file_that_fixes_a_side(fixed: str) -> None:
    model = network(f"net (float[N, {fixed}] x) => (float[N, 3, A, B] y) {{ y = Relu(x) }}")
    with pytest.raises(UsageError, match=r"net fixes the image's (height|width) to 8, so it does not take any size"):
        nominal(model)


def test_channels_last() -> None:
    model = network(
        "net (float[N, H, W, 3] x) => (float[N, 3] y) { a = Relu(x)  y = ReduceMean<axes = [1, 2], keepdims = 0>(a) }"
    )
    split = split_network(fix_image_input(model, "net", (8, 8), "nhwc", any_size=True), ["y"], multiple=4)
    assert {cut.tensor: (cut.shape, cut.free) for cut in split.cuts} == {
        "x": ((8, 8, 3), (0, 1)),
        "a": ((8, 8, 3), (0, 1)),
    }


@pytest.mark.parametrize("multiple", [1, 8, 32, 1024])
def test_the_sizes_that_are_tried(multiple: int) -> None:
    most = MOST_SIDE // multiple
    counts = sorted({*range(1, min(most, 12) + 1), most // 2, most - 1, most})
    for size in ((multiple * rows, multiple * columns) for rows in counts for columns in counts):
        high, wide = another(size, multiple)
        for side in (high, wide):
            assert 0 < side <= MOST_SIDE
            assert side // multiple % 2 == 1
        assert high not in (size[0], wide)
        assert wide != size[1]
        assert high - size[0] != wide - size[1]
    for side in (multiple * count for count in counts):
        assert doubled(side, multiple) != side
        assert 0 < doubled(side, multiple) <= MOST_SIDE
        assert doubled(side, multiple) % multiple == 0
