"""Bundles of networks that take no images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from splitnet.bundle import Bundle
from splitnet.bundle.build import build_bundle
from splitnet.bundle.manifest import TensorInput
from splitnet.bundle.source import ImportOptions, SourceTask
from splitnet.bundle.verify import random_input
from splitnet.cloud.model import CloudModel
from splitnet.errors import BundleError, ModelError, UsageError
from splitnet.runtime.onnxruntime_engine import OnnxGraph

NET = """
from torch import nn

def make():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2), nn.ReLU(), nn.Flatten(1), nn.Linear(4 * 3 * 5, 6))
"""


def answers(bundle: Bundle, cut: str, values: np.ndarray) -> np.ndarray:
    built = bundle.cut(cut)
    assert built.edge is not None
    assert built.cloud is not None
    features = OnnxGraph(bundle.path / built.edge).run({bundle.manifest.input.tensor: values})
    return np.asarray(OnnxGraph(bundle.path / built.cloud).run({built.tensor: features[0]})[0])


def test_every_split_gives_the_whole_networks_answer(sound_file: Path, tmp_path: Path) -> None:
    bundle = build_bundle(sound_file, tmp_path / "b", cuts="all")
    assert bundle.manifest.input == TensorInput(tensor="spectrogram", shape=(1, 40, 101))
    assert [cut.name for cut in bundle.manifest.built_cuts] == ["c1", "r1", "c2", "r2", "pool", "flat"]
    values = random_input(bundle.manifest.input, 3)
    (whole,) = OnnxGraph(bundle.path / bundle.manifest.whole).run({"spectrogram": values})
    for cut in bundle.manifest.built_cuts:
        np.testing.assert_allclose(answers(bundle, cut.name, values), whole, rtol=1e-4, atol=1e-5)


def test_a_vector_with_the_cut_input_and_more_arrays(vector_file: Path, tmp_path: Path) -> None:
    arrays = [np.ones((2, 64), np.float32)]
    bundle = build_bundle(vector_file, tmp_path / "b", cuts=["input", "a1"], arrays=arrays)
    assert [(cut.name, cut.shape) for cut in bundle.manifest.built_cuts] == [("input", (64,)), ("a1", (32,))]
    with pytest.raises(UsageError, match=r"cannot verify with float32 \(2, 63\): the input is float32 \(64,\)"):
        build_bundle(vector_file, tmp_path / "c", cuts=["a1"], arrays=[np.ones((2, 63), np.float32)])


def test_random_inputs_are_seeded_and_standard_normal() -> None:
    spec = TensorInput(tensor="x", shape=(50, 20))
    values = random_input(spec, 3)
    assert values.shape == (3, 50, 20)
    assert values.dtype == np.float32
    assert abs(values.mean()) < 0.1
    assert abs(values.std() - 1) < 0.1
    np.testing.assert_array_equal(values, random_input(spec, 3))


def test_a_torch_module_and_a_saved_program(tmp_path: Path) -> None:
    (tmp_path / "mynet.py").write_text(NET)
    options = ImportOptions(shape=(3, 8, 12))
    bundle = build_bundle(f"{tmp_path / 'mynet.py'}:make", tmp_path / "b", cuts="all", options=options)
    # Three channels, and yet no image: somebody said so.
    assert bundle.manifest.input == TensorInput(tensor="input", shape=(3, 8, 12))
    module = torch.nn.Sequential(torch.nn.Linear(64, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)).eval()
    program = torch.export.export(module, (torch.zeros(2, 64),), dynamic_shapes=({0: torch.export.Dim("n")},))
    torch.export.save(program, tmp_path / "net.pt2")
    saved = build_bundle(tmp_path / "net.pt2", tmp_path / "saved", cuts="all")
    assert saved.manifest.input == TensorInput(tensor="input", shape=(64,))


def test_detection_is_for_images(vector_file: Path, tmp_path: Path) -> None:
    options = ImportOptions(tasks=(SourceTask("boxes", "detection", "scores"),))
    with pytest.raises(UsageError, match=r"task 'boxes': the kind detection is for images, and the network takes"):
        build_bundle(vector_file, tmp_path / "b", cuts="all", options=options)
    bundle = build_bundle(vector_file, tmp_path / "b", cuts="all")
    file = bundle.path / "bundle.json"
    content = json.loads(file.read_text())
    content["tasks"][0]["kind"] = "detection"
    file.write_text(json.dumps(content))
    with pytest.raises(BundleError, match="task scores: the kind detection is for images"):
        CloudModel(Bundle.load(bundle.path))


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        (ImportOptions(shape=(64,), size=(8, 8)), UsageError, "--shape is of an input that is no image, --size of one"),
        (ImportOptions(shape=(64,), std=(1.0,), resize_short=9), UsageError, "--std, --resize-short of one that is"),
        (ImportOptions(mean=(1.0,)), ModelError, r"'x' \['N', 64\] is not a float32 image of shape \(N, 3, height"),
        (ImportOptions(shape=(32, 2)), UsageError, "--shape says 32x2, but .* takes 'x'"),
    ],
)
def test_options_that_do_not_fit(
    vector_file: Path, tmp_path: Path, options: ImportOptions, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        build_bundle(vector_file, tmp_path / "b", cuts="all", options=options)
    assert not (tmp_path / "b").exists()


def test_what_needs_images_says_so(vector_file: Path, tmp_path: Path) -> None:
    bundle = build_bundle(vector_file, tmp_path / "b", cuts=["a1"])
    with pytest.raises(UsageError, match=r"vector takes float32 \(64,\), no images; give a bundle that does"):
        assert bundle.manifest.image_input
    again = build_bundle([vector_file], tmp_path / "again", cuts=["a1"], options=replace(ImportOptions(), shape=(64,)))
    assert again.fingerprint == bundle.fingerprint
