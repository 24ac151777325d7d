"""The cut `input`: the whole network in the cloud, photos or their pixels on the wire."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import featcodec
from splitnet.bundle import Bundle
from splitnet.bundle.build import build_bundle
from splitnet.cloud import InferenceService
from splitnet.cloud.server import Server
from splitnet.edge import AsyncEdge, Edge
from splitnet.edge.encoder import EdgeEncoder
from splitnet.errors import InvalidRequestError, OverloadedError, UsageError
from splitnet.models import preprocess
from splitnet.models.image_codec import MAX_PIXELS, ImageCodec
from splitnet.runtime.bundled import load_graph
from splitnet.wire.exchange import InferenceRequest


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return build_bundle("efficientnet-lite0", tmp_path_factory.mktemp("input") / "bundle", cuts=["input", "block10"])


@pytest.fixture(scope="module")
def service(bundle: Bundle) -> InferenceService:
    return InferenceService([bundle])


def request_of(bundle: Bundle, frame: bytes, cut: str = "input") -> InferenceRequest:
    return InferenceRequest(bundle.manifest.name, bundle.fingerprint, cut, frame, outputs=True)


def logits(bundle: Bundle, photo: Path) -> np.ndarray:
    """The whole network's, of the crop that a device would send."""
    image = bundle.manifest.image_input
    tensor = preprocess.preprocess(preprocess.load_image(photo, short_side=image.resize_short), image)
    found: np.ndarray = load_graph(bundle, bundle.manifest.whole).run({image.tensor: tensor}, ["logits"])[0][0]
    return found


def test_it_is_the_first_cut_and_nothing_runs_before_it(bundle: Bundle) -> None:
    cut = bundle.manifest.cuts[0]
    assert (cut.name, cut.shape, cut.macs_before) == ("input", (3, 224, 224), 0)
    assert bundle.manifest.is_input(cut)
    assert not any(bundle.manifest.is_input(one) for one in bundle.manifest.cuts[1:])
    assert [one.name for one in bundle.manifest.built_cuts] == ["input", "block10"]
    assert EdgeEncoder(bundle).cut.name == "block10"


@pytest.mark.parametrize("codec", ["png", "none|raw"])
def test_without_loss_the_answer_is_the_whole_networks(
    codec: str, bundle: Bundle, service: InferenceService, photos: tuple[Path, ...]
) -> None:
    frame = EdgeEncoder(bundle, "input", codec).encode(photos[0]).frame
    answer = service.infer(request_of(bundle, frame)).outputs["classification"]
    expected = logits(bundle, photos[0])
    np.testing.assert_allclose(answer, expected, atol=1e-5 * np.abs(expected).max())


def test_a_photo_of_another_size_is_cropped_there(
    bundle: Bundle, service: InferenceService, photos: tuple[Path, ...]
) -> None:
    image = preprocess.load_image(photos[2], short_side=bundle.manifest.image_input.resize_short)
    file = io.BytesIO()
    image.save(file, "PNG")
    answer = service.infer(request_of(bundle, file.getvalue())).outputs["classification"]
    np.testing.assert_allclose(answer, logits(bundle, photos[2]), atol=1e-3)


def test_photos_over_grpc(bundle: Bundle, photos: tuple[Path, ...]) -> None:
    async def answers() -> list[int]:
        async with Server(InferenceService([bundle])) as server:
            edge = AsyncEdge(bundle, server.address, cut="input", codec="jpeg:quality=95")
            async with edge:
                await edge.connect()
                return [(await edge.infer(photo)).frame_bytes for photo in photos[:2]]

    import asyncio

    sizes = asyncio.run(answers())
    assert all(5_000 < size < 60_000 for size in sizes)


def test_both_halves_in_one_process(bundle: Bundle, photos: tuple[Path, ...]) -> None:
    with Edge(bundle, cut="input", codec="webp:quality=90") as edge:
        assert edge.encoder.codec == "webp:quality=90"
        answer = edge.infer(photos[3], outputs=True)
    assert answer.outputs["classification"].argmax() == logits(bundle, photos[3]).argmax()


def _png(width: int, height: int) -> bytes:
    """A file of a few bytes that claims a picture."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + height.to_bytes(4, "big") + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_hostile_files_are_one_line(bundle: Bundle, service: InferenceService, photos: tuple[Path, ...]) -> None:
    jpeg = EdgeEncoder(bundle, "input", "jpeg:quality=80").encode(photos[0]).frame
    gif = io.BytesIO()
    Image.new("RGB", (8, 8)).save(gif, "GIF")
    side = int(MAX_PIXELS**0.5) + 1
    cut_short = jpeg[: len(jpeg) // 2]
    for data in (b"", b"\x89PNG", cut_short, gif.getvalue(), _png(side, side), _png(1, 1), b"\xff\xd8" * 99):
        with pytest.raises(InvalidRequestError, match="neither featcodec's nor") as caught:
            service.infer(request_of(bundle, data))
        assert "\n" not in str(caught.value)
    # One pixel is a photo, if a poor one.
    tiny = io.BytesIO()
    Image.new("RGB", (1, 1), "red").save(tiny, "PNG")
    assert service.infer(request_of(bundle, tiny.getvalue())).results
    with pytest.raises(InvalidRequestError, match="malformed frame"):
        service.infer(request_of(bundle, jpeg, "block10"))
    small = InferenceService([bundle], max_frame_bytes=len(jpeg) - 1)
    with pytest.raises(OverloadedError, match="over the limit"):
        small.infer(request_of(bundle, jpeg))
    features = featcodec.encode(np.full((1, 3, 224, 224), np.nan, np.float32), "none|raw")
    with pytest.raises(InvalidRequestError, match="NaN"):
        service.infer(request_of(bundle, features))


def test_image_codecs_are_for_the_input_alone(bundle: Bundle) -> None:
    with pytest.raises(UsageError, match="is for photos, at the cut input"):
        EdgeEncoder(bundle, "block10", "jpeg:quality=90")
    for quality in (0, 101, 999):
        with pytest.raises(UsageError, match="from 1 to 100"):
            ImageCodec.parse(f"webp:quality={quality}")
    assert ImageCodec.parse("affine:bits=8|zlib") is None
    for text in ("jpeg:quality=7", "webp:quality=100", "png"):
        assert str(ImageCodec.parse(text)) == text
    encoder = EdgeEncoder(bundle, "input", "png")
    assert encoder.stages == ()
    with pytest.raises(UsageError, match="has no step"):
        encoder.step = 2.0
