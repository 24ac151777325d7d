"""Bundles for any size: from files and torch modules, their manifests, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

import featcodec
from splitnet.bundle import Bundle, add_transform
from splitnet.bundle.build import build_bundle
from splitnet.bundle.manifest import Crossing
from splitnet.bundle.sizes import at_size, takes
from splitnet.bundle.source import ImportOptions, SourceHead, SourceTask
from splitnet.edge import Edge
from splitnet.errors import ModelError, UsageError
from splitnet.precision.apply import set_edge_precision
from splitnet.runtime.bundled import load_graph

OPTIONS = ImportOptions(size=(32, 48), any_size=8)
MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem, self.down = nn.Conv2d(3, 4, 3, 1, 1), nn.Conv2d(4, 6, 3, 2, 1)
        self.up, self.fc = nn.Upsample(scale_factor=2), nn.Linear(6, 5)
        self.mix = nn.Conv2d(10, 6, 1)

    def forward(self, x):
        a = torch.relu(self.stem(x))
        b = torch.relu(self.mix(torch.cat([self.up(self.down(a)), a], 1)))
        return {"map": b, "scores": self.fc(b.mean((2, 3)))}

class Last(Net):
    def forward(self, x):
        return super().forward(x.permute(0, 3, 1, 2))

class Valid(nn.Sequential):
    def __init__(self):
        last = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(1), nn.Linear(4, 5))
        super().__init__(nn.Conv2d(3, 4, 7, 2), nn.ReLU(), nn.Conv2d(4, 4, 3), last)

class Flat(Net):
    def forward(self, x):
        return self.down(self.stem(x)).flatten(1) @ torch.ones(6 * 16 * 16, 2)
"""


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("modules") / "nets.py"
    path.write_text(MODULE)
    return path


def photo(bundle: Bundle, size: tuple[int, int], batch: int = 2) -> np.ndarray:
    return np.random.default_rng(size[0]).random((batch, *at_size(bundle.manifest.image_input, size).shape), np.float32)


def check(bundle: Bundle, size: tuple[int, int]) -> None:
    """Split against whole at every built cut."""
    manifest, image = bundle.manifest, photo(bundle, size)
    outputs = [task.output for task in manifest.tasks]
    expected = load_graph(bundle, manifest.whole).run({manifest.input.tensor: image}, outputs)
    for cut in manifest.built_cuts:
        assert cut.edge is not None
        assert cut.cloud is not None
        names = [one.tensor for one in cut.crossing]
        features = load_graph(bundle, cut.edge).run({manifest.input.tensor: image}, names)
        assert all(takes(one, found.shape[1:]) for one, found in zip(cut.crossing, features, strict=True))
        cloud = load_graph(bundle, cut.cloud)
        ends = dict(
            zip([one.name for one in cloud.outputs], cloud.run(dict(zip(names, features, strict=True))), strict=True)
        )
        for task, wanted in zip(manifest.tasks, expected, strict=True):
            found = (
                ends[task.output]
                if task.head is None
                else load_graph(bundle, task.head).run({task.input: ends[task.input]})[0]
            )
            np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_manifest(pyramid_bundle: Bundle) -> None:
    content = json.loads((pyramid_bundle.path / "bundle.json").read_text())
    assert (content["input"]["height"], content["input"]["width"], content["input"]["multiple"]) == (32, 48, 8)
    assert {cut["name"]: cut["free"] for cut in content["cuts"]} == {
        name: [1, 2] for name in ("input", "stem", "r1", "deep-and-1", "both")
    }
    assert pyramid_bundle.cut("deep-and-1").more == (Crossing(tensor="r1", shape=(4, 16, 24), free=(1, 2)),)
    assert Bundle.load(pyramid_bundle.path).fingerprint == pyramid_bundle.fingerprint
    check(pyramid_bundle, (40, 72))


def test_bundles_of_one_size_say_nothing_of_it(tiny_file: Path, tmp_path: Path) -> None:
    bundle = build_bundle(tiny_file, tmp_path / "tiny", cuts="all")
    text = bundle.manifest.canonical()
    assert b"multiple" not in text
    assert b"free" not in text


@pytest.mark.parametrize("change", [{"free": [0, 3]}, {"free": [2, 1]}, {"free": [1, 1]}, {"free": [-1]}])
def test_free_axes_that_are_none(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="free"):
        Crossing.model_validate({"tensor": "t", "shape": [4, 8, 8], **change})


def test_free_axes_need_a_free_size(pyramid_bundle: Bundle) -> None:
    content = pyramid_bundle.manifest.model_dump(mode="json")
    del content["input"]["multiple"]
    with pytest.raises(ValueError, match="has free axes, but the input's size is fixed"):
        type(pyramid_bundle.manifest).model_validate(content)
    content["input"]["multiple"] = 7
    with pytest.raises(ValueError, match="the sides of 32x48 are no multiples of 7"):
        type(pyramid_bundle.manifest).model_validate(content)


def test_a_torch_module(modules: Path, tmp_path: Path) -> None:
    bundles = [
        build_bundle(f"{modules}:Net", tmp_path / name, cuts="all", options=ImportOptions(size=(64, 64), any_size=32))
        for name in ("one", "again")
    ]
    assert bundles[0].fingerprint == bundles[1].fingerprint
    manifest = bundles[0].manifest
    assert {cut.name: cut.free for cut in manifest.cuts}["stem"] == (1, 2)
    assert {task.name for task in manifest.tasks} == {"map", "scores"}
    for size in ((32, 32), (96, 64), (64, 160)):
        check(bundles[0], size)


def test_a_module_without_padding(modules: Path, tmp_path: Path) -> None:
    """It needs eleven pixels and more, so that steps of one are too small."""
    options = ImportOptions(size=(48, 48), any_size=1)
    with pytest.raises(
        ModelError, match=r"steps of 1: its code does not work for all of them; a larger --any-size may"
    ):
        build_bundle(f"{modules}:Valid", tmp_path / "valid", options=options)
    bundle = build_bundle(f"{modules}:Valid", tmp_path / "valid", cuts=["2"], options=replace(options, any_size=12))
    assert (bundle.cut("2").shape, bundle.cut("2").free) == ((4, 19, 19), (1, 2))
    check(bundle, (12, 60))
    with Edge(bundle, codec="none|raw", size=(96, 96)) as edge:
        edge.infer(np.zeros((99, 99, 3), np.uint8))


def test_several_networks(pyramid_file: Path, tmp_path: Path) -> None:
    other = onnx.load(pyramid_file)
    other.graph.output[1].name = "others"
    other.graph.node[-1].output[0] = "others"
    weights = next(one for one in other.graph.initializer if one.name == "w5")
    weights.CopyFrom(onnx.numpy_helper.from_array(2 * onnx.numpy_helper.to_array(weights), "w5"))
    onnx.save(other, tmp_path / "other.onnx")
    bundle = build_bundle([pyramid_file, tmp_path / "other.onnx"], tmp_path / "b", cuts="all", options=OPTIONS)
    assert [task.name for task in bundle.manifest.tasks] == ["mask", "scores", "others"]
    check(bundle, (24, 56))


def test_channels_last(modules: Path, tmp_path: Path) -> None:
    options = ImportOptions(size=(32, 64), any_size=32, layout="nhwc")
    bundle = build_bundle(f"{modules}:Last", tmp_path / "last", cuts="all", options=options)
    assert bundle.manifest.input.shape == (3, 32, 64)
    check(bundle, (96, 32))


def test_a_module_for_one_size(modules: Path, tmp_path: Path) -> None:
    options = ImportOptions(size=(32, 32), any_size=32)
    with pytest.raises(
        ModelError,
        match=r"nets.py:Flat for images of any size in steps of 32: .*; a larger --any-size may",
    ) as caught:
        build_bundle(f"{modules}:Flat", tmp_path / "flat", options=options)
    assert "\n" not in str(caught.value)
    build_bundle(f"{modules}:Flat", tmp_path / "flat", options=replace(options, any_size=None))


def test_a_network_that_needs_larger_steps(pyramid_file: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"the network does not take any size: at \d+x\d+ .*; build it without --any-size"
    ):
        build_bundle(pyramid_file, tmp_path / "b", options=ImportOptions(size=(32, 48), any_size=2))
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"any_size": 0}, "--any-size 0 is not a number of pixels from 1 to 1024"),
        ({"any_size": 2000}, "--any-size 2000 is not"),
        ({"any_size": 32}, "--size 32x48 is no size in steps of --any-size 32"),
        ({"size": None}, "leaves the image's height free: say it with --size"),
        ({"size": None, "shape": (3, 32, 48)}, "--shape is of an input that is no image, --any-size of one that is"),
        (
            {"tasks": (SourceTask("boxes", "detection", "mask"),)},
            "'boxes': the kind detection needs an image of one size",
        ),
        ({"tasks": (SourceTask("m", "score", "mask"),)}, "'mask' changes with the image's size, which a score cannot"),
    ],
)
def test_what_cannot_be(change: dict[str, object], message: str, pyramid_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        build_bundle(pyramid_file, tmp_path / "b", options=replace(OPTIONS, **change))  # type: ignore[arg-type]


def test_a_file_or_a_zoo_network_of_one_size(tiny_file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="fixes the image's height to 16, so it does not take any size"):
        build_bundle(tiny_file, tmp_path / "b", options=ImportOptions(size=(16, 16), any_size=8))
    with pytest.raises(
        UsageError, match=r"any_size, layout.* are for imported networks; 'efficientnet-lite0' knows its own"
    ):
        build_bundle("efficientnet-lite0", tmp_path / "b", options=ImportOptions(any_size=32))


def test_a_head_of_its_own_file(pyramid_file: Path, tmp_path: Path) -> None:
    head = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]> head (float[N, 4, H, W] x) => (float[N, 4] y) {
            p = GlobalAveragePool(x)  y = Flatten(p)
        }
    """)
    onnx.save(head, tmp_path / "head.onnx")
    options = replace(OPTIONS, heads=(SourceHead("more", tmp_path / "head.onnx", "both"),))
    bundle = build_bundle(pyramid_file, tmp_path / "b", cuts="all", options=options)
    assert [task.name for task in bundle.manifest.tasks] == ["mask", "scores", "more"]
    check(bundle, (16, 40))


def test_a_transform_and_fewer_bits_are_of_the_nominal_size(
    pyramid_bundle: Bundle,
    profile_for: Callable[..., featcodec.TransformProfile],
    photos: tuple[Path, ...],
    tmp_path: Path,
) -> None:
    profile = profile_for(pyramid_bundle, "r1", blocks=(4, 4))
    made = add_transform(pyramid_bundle, "r1", profile.to_bytes(), out=tmp_path / "t")
    transform = made.cut("r1").transform
    assert transform is not None
    assert [one.shape for one in load_graph(made, transform.edge).inputs] == [(None, 3, 32, 48), ()]
    fewer, _ = set_edge_precision(pyramid_bundle, "int8", photos[:8], cuts=["r1"], out=tmp_path / "p")
    edge = fewer.cut("r1").edge
    assert edge is not None
    (features,) = load_graph(fewer, edge).run({"photo": photo(fewer, (40, 40), 1)})
    assert features.shape == (1, 4, 20, 20)
