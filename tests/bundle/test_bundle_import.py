"""Bundles of one's own networks: torch modules, saved programs, channels last, shared trunks, more heads."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from splitnet.bundle import Bundle
from splitnet.bundle.build import build_bundle
from splitnet.bundle.source import ImportOptions, SourceHead, SourceTask
from splitnet.errors import ModelError, UsageError
from splitnet.runtime.onnxruntime_engine import OnnxGraph

SIZE = ImportOptions(size=(16, 16))

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, 2, 1), nn.ReLU())
        self.body = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), nn.ReLU())
        self.fc = nn.Linear(width, 5)

    def forward(self, image):
        return self.fc(self.body(self.stem(image)).mean((2, 3)))

class Last(Net):
    def forward(self, image):
        return super().forward(image.permute(0, 3, 1, 2))
"""


@pytest.fixture
def mynet(tmp_path: Path) -> str:
    path = tmp_path / "mynet.py"
    path.write_text(NET)
    return str(path)


@pytest.fixture
def dogs(tiny_network: Path) -> Path:
    """The tiny network with another head: its trunk's tensors and weights have other names."""
    model = onnx.load(tiny_network)
    del model.graph.node[-2:]
    for names in (names for node in model.graph.node for names in (node.input, node.output)):
        names[:] = ["d_" + name for name in names]
    for tensor in model.graph.initializer:
        tensor.name = "d_" + tensor.name
    model.graph.input[0].name = "d_image"
    model.graph.node.append(onnx.helper.make_node("Sigmoid", ["d_flat"], ["scores"]))
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["N", 8]))
    path = tiny_network.with_name("dogs.onnx")
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def age(tiny_network: Path) -> Path:
    """A head from 8 values to one."""
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> h (float[N, 8] x) => (float[N, 1] y) { a = MatMul(x, w)'
        "  y = Sigmoid(a) }"
    )
    weights = np.random.default_rng(5).standard_normal((8, 1)).astype(np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    path = tiny_network.with_name("age.onnx")
    path.write_bytes(model.SerializeToString())
    return path


def run(path: Path, image: np.ndarray) -> dict[str, np.ndarray]:
    graph = OnnxGraph(path)
    return dict(zip([spec.name for spec in graph.outputs], graph.run({graph.inputs[0].name: image}), strict=True))


def photos(batch: int = 2) -> np.ndarray:
    return np.random.default_rng(3).random((batch, 3, 16, 16)).astype(np.float32)


def split_answers(bundle: Bundle, cut: str, image: np.ndarray) -> dict[str, np.ndarray]:
    """Every task's output through the two halves of `cut`."""
    built = bundle.cut(cut)
    assert built.edge is not None
    assert built.cloud is not None
    (features,) = OnnxGraph(bundle.path / built.edge).run({bundle.manifest.input.tensor: image})
    (shared,) = OnnxGraph(bundle.path / built.cloud).run({built.tensor: features})
    return {
        task.name: shared if task.head is None else OnnxGraph(bundle.path / task.head).run({task.input: shared})[0]
        for task in bundle.manifest.tasks
    }


def test_a_torch_module_is_the_same_bundle_every_time(mynet: str, tmp_path: Path) -> None:
    one, two = (build_bundle(f"{mynet}:Net", tmp_path / name, cuts=["stem"], options=SIZE) for name in ("one", "two"))
    assert one.fingerprint == two.fingerprint
    manifest = one.manifest
    assert (manifest.name, manifest.input.tensor) == ("mynet.Net", "image")
    assert manifest.source.startswith(f"mynet.Net sha256:{manifest.version}")
    assert [cut.name for cut in manifest.cuts] == ["stem.0", "stem", "body.0", "body", "mean"]
    assert not [file for file in one.path.rglob("*") if file.is_file() and str(tmp_path).encode() in file.read_bytes()]


def test_channels_last_keeps_the_bundles_input(mynet: str, tmp_path: Path) -> None:
    first = build_bundle(f"{mynet}:Net", tmp_path / "first", cuts=["stem"], options=SIZE)
    last = build_bundle(f"{mynet}:Last", tmp_path / "last", cuts=["stem"], options=replace(SIZE, layout="nhwc"))
    assert last.manifest.input.shape == (3, 16, 16)
    ours, theirs = (split_answers(bundle, "stem", photos())["output"] for bundle in (last, first))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_a_saved_program(mynet: str, tmp_path: Path) -> None:
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Flatten(1)).eval()
    program = torch.export.export(module, (torch.zeros(2, 3, 16, 16),), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(program, tmp_path / "net.pt2")
    bundle = build_bundle(tmp_path / "net.pt2", tmp_path / "b", cuts="all")
    assert (bundle.manifest.name, bundle.manifest.image_input.height) == ("net", 16)
    assert [cut.name for cut in bundle.manifest.cuts] == ["0", "1"]


@pytest.mark.parametrize(
    ("name", "options", "kind", "message"),
    [
        ("mynet.py:Net", ImportOptions(), UsageError, "does not say how large its input is: say it with --size"),
        ("mynet.py:Net", replace(SIZE, layout="nhwc"), ModelError, "torch cannot export .*mynet.py:Net: "),
        ("mynet.py", SIZE, UsageError, "say what in the file is the network, for example .*mynet.py:make"),
        ("mynet.pth", SIZE, UsageError, "holds weights or pickled code, not a network: name what builds it"),
        ("mynet.pt2", SIZE, ModelError, "mynet.pt2 is not a file"),
        ("absent.py:Net", SIZE, UsageError, "absent.py is not a file"),
    ],
)
def test_names_that_cannot_be_built(
    mynet: str, tmp_path: Path, name: str, options: ImportOptions, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        build_bundle(str(tmp_path / name), tmp_path / "b", cuts="all", options=options)
    assert not (tmp_path / "b").exists()


def test_two_networks_with_a_trunk_in_common(tiny_network: Path, dogs: Path, tmp_path: Path) -> None:
    bundle = build_bundle([tiny_network, dogs], tmp_path / "b", cuts=["r1"])
    assert bundle.manifest.name == "tiny-dogs"
    assert [(task.name, task.output) for task in bundle.manifest.tasks] == [
        ("tiny.scores", "tiny.scores"),
        ("vector", "vector"),
        ("dogs.scores", "dogs.scores"),
    ]
    cloud = onnx.load(bundle.path / "cuts" / "r1.cloud.onnx")
    assert Counter(node.op_type for node in cloud.graph.node) == Counter(Conv=1, Relu=1, GlobalAveragePool=1, Flatten=1)
    answers = split_answers(bundle, "r1", photos())
    for name, expected in (
        ("tiny.scores", run(tiny_network, photos())["scores"]),
        ("vector", run(tiny_network, photos())["vector"]),
        ("dogs.scores", run(dogs, photos())["scores"]),
    ):
        np.testing.assert_allclose(answers[name], expected, rtol=1e-6, atol=1e-6)
    again = build_bundle([tiny_network, dogs], tmp_path / "again", cuts=["r1"])
    assert again.fingerprint == bundle.fingerprint


def test_tasks_of_merged_networks(tiny_network: Path, dogs: Path, tmp_path: Path) -> None:
    options = ImportOptions(tasks=(SourceTask("dog", "embedding", "dogs.scores"),))
    bundle = build_bundle([tiny_network, dogs], tmp_path / "b", cuts=["r1"], options=options)
    assert [task.name for task in bundle.manifest.tasks] == ["dog", "tiny.scores", "vector"]


def test_networks_that_share_nothing(tiny_network: Path, dogs: Path, tmp_path: Path) -> None:
    model = onnx.load(dogs)
    model.graph.initializer[0].raw_data = bytes(len(model.graph.initializer[0].raw_data))
    dogs.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match="tiny and dogs share no layer: the weights of their first Conv differ"):
        build_bundle([tiny_network, dogs], tmp_path / "b", cuts="all")
    with pytest.raises(
        UsageError, match=r"networks that become one are files or MODULE:CALLABLE; got efficientnet-lite0"
    ):
        build_bundle(["efficientnet-lite0", tiny_network], tmp_path / "b", cuts="all")
    assert not (tmp_path / "b").exists()


def test_one_more_head(tiny_network: Path, age: Path, tmp_path: Path) -> None:
    options = ImportOptions(heads=(SourceHead("age", age, "flat", "score"), SourceHead("deep", age, "flat")))
    bundle = build_bundle(tiny_network, tmp_path / "b", cuts=["r1"], options=options)
    plain = build_bundle(tiny_network, tmp_path / "plain", cuts=["r1", "flat"])
    assert [(task.name, task.kind) for task in bundle.manifest.tasks[2:]] == [("age", "score"), ("deep", "tensor")]
    assert bundle.manifest.version.startswith(f"{plain.manifest.version}-")
    assert "age.onnx at flat sha256:" in bundle.manifest.source
    (flat,) = OnnxGraph(plain.path / "cuts" / "flat.edge.onnx").run({"image": photos()})
    answers = split_answers(bundle, "r1", photos())
    np.testing.assert_allclose(answers["age"], run(age, flat)["y"], rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(answers["age"], answers["deep"])


def test_a_head_further_in_front_ends_the_cuts_there(tiny_network: Path, age: Path, tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> h (float[N, 8, H, W] x) => (float[N, 8, 1, 1] y)'
        " { y = GlobalMaxPool(x) }"
    )
    age.write_bytes(model.SerializeToString())
    options = ImportOptions(heads=(SourceHead("age", age, "r2"),))
    bundle = build_bundle(tiny_network, tmp_path / "b", cuts="all", options=options)
    assert [cut.name for cut in bundle.manifest.cuts] == ["c1", "r1", "c2", "r2"]


@pytest.mark.parametrize(
    ("head", "kind", "message"),
    [
        (SourceHead("age", Path("age.onnx"), "r1"), ModelError, "age.onnx takes FLOAT"),
        (SourceHead("age", Path("age.onnx"), "nope"), UsageError, "the network has no tensor 'nope'"),
        (SourceHead("scores", Path("age.onnx"), "flat"), UsageError, "has a task of that name already"),
        (SourceHead("age", Path("age.onnx"), "flat", "poetry"), UsageError, "unknown kind of task 'poetry'"),
        (SourceHead("age", Path("absent.onnx"), "flat"), ModelError, "absent.onnx is not a file"),
    ],
)
def test_heads_that_cannot_be(
    tiny_network: Path, age: Path, tmp_path: Path, head: SourceHead, kind: type[Exception], message: str
) -> None:
    options = ImportOptions(heads=(replace(head, path=tmp_path / head.path),))
    with pytest.raises(kind, match=message):
        build_bundle(tiny_network, tmp_path / "b", cuts="all", options=options)
    assert not (tmp_path / "b").exists()
