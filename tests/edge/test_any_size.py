"""Photos of another size than the bundle's nominal one."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import featcodec
from splitnet.bundle import Bundle, add_transform
from splitnet.bundle.build import build_bundle
from splitnet.bundle.sizes import at_size
from splitnet.edge import AsyncEdge, Edge
from splitnet.edge.encoder import PLAIN_CODEC, EdgeEncoder, as_image
from splitnet.errors import InvalidRequestError, UsageError
from splitnet.models import preprocess
from splitnet.runtime.bundled import load_graph
from splitnet.runtime.graph import Array

SIZES = [None, (32, 48), (8, 8), (64, 96), (16, 320), (56, 24)]


def whole(bundle: Bundle, photo: Path, size: tuple[int, int] | None) -> list[Array]:
    """Mask and scores of the unsplit network."""
    spec = at_size(bundle.manifest.image_input, size or (32, 48))
    tensor = preprocess.preprocess(as_image(photo, spec.resize_short), spec)
    return load_graph(bundle, bundle.manifest.whole).run({spec.tensor: tensor}, ["mask", "scores"])


def check(outputs: object, expected: list[Array], tolerance: float = 1e-5) -> None:
    assert isinstance(outputs, dict)
    for found, wanted in zip((outputs["mask"], outputs["scores"]), expected, strict=True):
        np.testing.assert_allclose(found, wanted[0], atol=tolerance * np.abs(wanted).max())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("cut", ["input", "r1", "deep-and-1", "both"])
def test_the_answer_is_the_whole_networks(
    cut: str, size: tuple[int, int] | None, pyramid_bundle: Bundle, photos: tuple[Path, ...]
) -> None:
    expected = whole(pyramid_bundle, photos[0], size)
    with Edge(pyramid_bundle, cut=cut, codec="none|raw", size=size) as edge:
        check(edge.infer(photos[0], outputs=True).outputs, expected)
    with Edge(pyramid_bundle, cut=cut, size=size) as edge:
        assert edge.encoder.codec == str(featcodec.parse_spec(PLAIN_CODEC))
        check(edge.infer(photos[0], outputs=True).outputs, expected, 0.05)


def test_the_tensor_task_has_the_size_asked_for(pyramid_bundle: Bundle, photos: tuple[Path, ...]) -> None:
    async def main() -> tuple[int, ...]:
        async with AsyncEdge(pyramid_bundle, cut="r1", size=(24, 40)) as edge:
            answer = await edge.infer(photos[1], ["mask"])
            return np.asarray(answer.results["mask"].values).shape  # type: ignore[union-attr]

    assert asyncio.run(main()) == (2, 24, 40)


@pytest.mark.parametrize("codec", ["png", "jpeg:quality=95"])
def test_image_files_keep_their_size(codec: str, pyramid_bundle: Bundle, photos: tuple[Path, ...]) -> None:
    with Edge(pyramid_bundle, cut="input", codec=codec, size=(64, 72)) as edge:
        answer = edge.infer(photos[2], outputs=True)
    check(answer.outputs, whole(pyramid_bundle, photos[2], (64, 72)), 1e-5 if codec == "png" else 0.2)


def test_a_photo_of_no_such_size_is_cropped_to_the_nominal_one(
    pyramid_bundle: Bundle, photos: tuple[Path, ...]
) -> None:
    with Edge(pyramid_bundle, cut="input", codec="png") as edge:
        transport, request = edge._transport, edge._client.request
        for size, shape in (((40, 33), (2, 32, 48)), ((960, 960), (2, 32, 48)), ((80, 40), (2, 40, 80))):
            file = io.BytesIO()
            Image.open(photos[3]).resize(size).save(file, "PNG")
            answer = transport.infer(request(file.getvalue(), [], 0, True), None)
            assert answer.outputs["mask"].shape == shape


@pytest.mark.parametrize(
    ("size", "message"),
    [
        ((30, 48), "size 30x48: its sides are no multiples of 8; choose another, or none for 32x48"),
        ((0, 0), "no multiples of 8"),
        ((64, 104), "it has more than 4 times the pixels of 32x48"),
        ((8, 8200), "a side has more than 8192 pixels"),
    ],
)
def test_sizes_that_cannot_be(size: tuple[int, int], message: str, pyramid_bundle: Bundle) -> None:
    for make in (EdgeEncoder, Edge, AsyncEdge):
        with pytest.raises(UsageError, match=message):
            make(pyramid_bundle, size=size)


def test_a_bundle_of_one_size(tiny_file: Path, sound_file: Path, tmp_path: Path) -> None:
    tiny = build_bundle(tiny_file, tmp_path / "tiny", cuts=["r1"])
    with pytest.raises(UsageError, match="size 32x32: the bundle takes 16x16 alone"):
        EdgeEncoder(tiny, size=(32, 32))
    assert EdgeEncoder(tiny, size=(16, 16)).input == tiny.manifest.input
    sound = build_bundle(sound_file, tmp_path / "sound", cuts=["r1"])
    with pytest.raises(UsageError, match="no images"):
        EdgeEncoder(sound, size=(40, 101))


def test_a_transform_is_for_the_nominal_size(
    pyramid_bundle: Bundle,
    profile_for: Callable[..., featcodec.TransformProfile],
    photos: tuple[Path, ...],
    tmp_path: Path,
) -> None:
    profile = profile_for(pyramid_bundle, "r1", blocks=(4, 4))
    bundle = add_transform(pyramid_bundle, "r1", profile.to_bytes(), step=0.01, out=tmp_path / "t")
    with Edge(bundle, cut="r1", size=(32, 48)) as edge:
        assert edge.encoder.codec == "transform:step=0.01|rans"
        edge.infer(photos[0])
    with Edge(bundle, cut="r1", size=(32, 56)) as edge:
        assert edge.encoder.codec == str(featcodec.parse_spec(PLAIN_CODEC))
        check(edge.infer(photos[0], outputs=True).outputs, whole(bundle, photos[0], (32, 56)), 0.05)
    with pytest.raises(UsageError, match=r"'transform:step=2\|rans' is calibrated for 32x48; use that size, or"):
        EdgeEncoder(bundle, "r1", "transform:step=2|rans", size=(32, 56))


def test_the_service_says_no_to_what_the_edge_would_not_send(pyramid_bundle: Bundle) -> None:
    with Edge(pyramid_bundle, cut="input", codec="none|raw") as edge:
        large = edge.encoder.compress(np.zeros((1, 3, 64, 104), np.float32))
        with pytest.raises(InvalidRequestError, match="4 times"):
            edge._transport.infer(edge._client.request(large, [], 0, False), None)
