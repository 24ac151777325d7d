"""The zoo's networks behave as published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from splitnet.bundle import Bundle
from splitnet.models.preprocess import load_image, preprocess
from splitnet.runtime.onnxruntime_engine import OnnxGraph

pytestmark = pytest.mark.bundle


def test_lite0_names_the_photos(lite0_bundle: Bundle, photos: tuple[Path, ...]) -> None:
    whole = OnnxGraph(lite0_bundle.open_bytes(lite0_bundle.manifest.whole))
    spec = lite0_bundle.manifest.input
    truth = [int(photo.stem.rpartition("_")[2]) for photo in photos]
    ranked = [
        np.argsort(-whole.run({spec.tensor: preprocess(load_image(photo), spec)}, ["logits"])[0][0])[:5]
        for photo in photos
    ]
    # With the whole photo squeezed to 224x224 it would be 17 and 20; this is the preprocessing it was
    # trained for.
    assert sum(int(row[0]) == label for row, label in zip(ranked, truth, strict=True)) == 18
    assert sum(label in row for row, label in zip(ranked, truth, strict=True)) == 19
