"""A network in dlib's shape, small enough to write out and to break byte by byte."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

from splitnet.models.dlib_file import AddSkip, Affine, Convolution, Dense, DlibNetwork, Layer, Pool, Relu
from splitnet.models.weights import DLIB_FACE_RESNET


def _unit(rng: np.random.Generator, inputs: int, outputs: int, stride: int = 1) -> list[Layer]:
    def draw(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return rng.normal(size=shape).astype(np.float32)

    convolution = Convolution(draw(outputs, inputs, 3, 3), draw(outputs), stride, 1 if stride == 1 else 0)
    return [convolution, Affine(draw(outputs), draw(outputs))]


@pytest.fixture
def tiny_dlib() -> DlibNetwork:
    """Two blocks on 35x35 pixels: 2 channels on maps of 8x8, then 3 on 4x4, where its convolutions give 3x3."""
    rng = np.random.default_rng(7)
    layers: list[Layer] = [*_unit(rng, 3, 2, 2), Relu(), Pool("max", 3, 2)]
    layers += [*_unit(rng, 2, 2), Relu(), *_unit(rng, 2, 2), AddSkip(), Relu()]
    layers += [*_unit(rng, 2, 3, 2), Relu(), *_unit(rng, 3, 3), Pool("avg", 2, 2), AddSkip(), Relu()]
    layers += [Pool("avg", 0, 1), Dense(rng.normal(size=(3, 4)).astype(np.float32))]
    return DlibNetwork((122.75, 117.0, 104.25), (35, 35), tuple(layers))


@pytest.fixture
def dlib_face_resnet() -> bytes:
    """The published file; the test is skipped where the package is missing."""
    if find_spec(DLIB_FACE_RESNET.package) is None:
        pytest.skip("face-recognition-models is not installed: pip install 'splitnet[faces]'")
    return DLIB_FACE_RESNET.read()
