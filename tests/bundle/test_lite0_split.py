"""EfficientNet-Lite0: split against whole on a real photo, at every cut there is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from splitnet.bundle import Bundle
from splitnet.graph.extract import serialise
from splitnet.graph.split import SplitNetwork, split_network
from splitnet.models import find_network
from splitnet.models.preprocess import load_image, preprocess
from splitnet.runtime.graph import Array
from splitnet.runtime.onnxruntime_engine import OnnxGraph

pytestmark = pytest.mark.bundle

NAMES = ("stem", *(f"block{index}" for index in range(16)), "head", "pooled")


@pytest.fixture(scope="module")
def network(lite0_bundle: Bundle) -> SplitNetwork:
    model = onnx.load_from_string(lite0_bundle.open_bytes("whole.onnx"))
    return split_network(model, ["logits", "embedding"], NAMES)


@pytest.fixture(scope="module")
def photo_tensor(lite0_bundle: Bundle, photos: tuple[Path, ...]) -> Array:
    return np.concatenate([preprocess(load_image(photo), lite0_bundle.manifest.image_input) for photo in photos[:3]])


@pytest.fixture(scope="module")
def whole(lite0_bundle: Bundle) -> OnnxGraph:
    return OnnxGraph(lite0_bundle.open_bytes("whole.onnx"))


def test_all_cuts_are_found(lite0_bundle: Bundle, network: SplitNetwork) -> None:
    assert tuple(cut.name for cut in lite0_bundle.manifest.cuts) == NAMES
    assert [cut.name for cut in lite0_bundle.manifest.built_cuts] == ["block4", "block7", "block10"]
    every = split_network(network.whole, ["logits", "embedding"])
    # Beside the named ones those inside blocks without a skip connection.
    assert set(NAMES) < {cut.tensor for cut in every.cuts}
    assert len(every.cuts) == 47


def test_shapes_and_costs(lite0_bundle: Bundle) -> None:
    cut = lite0_bundle.cut("block7")
    assert (cut.shape, cut.values, cut.float_bytes) == ((80, 14, 14), 15680, 62720)
    assert cut.macs_before == 157_260_992
    assert {cut.macs_before + cut.macs_after for cut in lite0_bundle.manifest.cuts} == {385_187_552}


@pytest.mark.parametrize("name", NAMES)
def test_split_equals_whole_on_photos(network: SplitNetwork, whole: OnnxGraph, photo_tensor: Array, name: str) -> None:
    cut = next(cut for cut in network.cuts if cut.tensor == name)
    edge, cloud = OnnxGraph(serialise(network.edge(cut))), OnnxGraph(serialise(network.cloud(cut)))
    heads = [OnnxGraph(serialise(head)) for head in map(network.head, network.outputs) if head is not None]
    for batch in (photo_tensor[:1], photo_tensor):
        (features,) = edge.run({"image": batch})
        (pooled,) = cloud.run({name: features})
        for head, expected in zip(heads, whole.run({"image": batch}, network.outputs), strict=True):
            (result,) = head.run({"pooled": pooled})
            assert np.abs(result - expected).max() <= 1e-5 * np.abs(expected).max()


def test_batches_give_the_bits_of_single_photos(whole: OnnxGraph, photo_tensor: Array) -> None:
    (together,) = whole.run({"image": photo_tensor}, ["logits"])
    for row, image in zip(together, photo_tensor, strict=True):
        np.testing.assert_array_equal(whole.run({"image": image[np.newaxis]}, ["logits"])[0][0], row)


def test_the_graph_computes_what_torch_does(whole: OnnxGraph, photo_tensor: Array) -> None:
    with torch.no_grad():
        named = find_network("efficientnet-lite0").build()(torch.from_numpy(photo_tensor))
    for output, result in zip(("logits", "embedding"), whole.run({"image": photo_tensor}), strict=True):
        expected = named[output].numpy()
        assert np.abs(result - expected).max() <= 1e-4 * np.abs(expected).max()


def test_labels_name_the_photos_classes(lite0_bundle: Bundle) -> None:
    labels = lite0_bundle.labels("classification")
    assert len(labels) == 1000
    assert [labels[index] for index in (243, 251, 949)] == ["bull mastiff", "dalmatian", "strawberry"]
    assert lite0_bundle.labels("embedding") == ()


def test_nothing_of_the_machine_is_in_the_bundle(lite0_bundle: Bundle) -> None:
    here = str(Path(__file__).parents[2]).encode()
    assert not [file.path for file in lite0_bundle.manifest.files if here in lite0_bundle.open_bytes(file.path)]
