"""Frames of every size at once, over a real socket, and frames of no size that there is."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import numpy as np
import pytest

import featcodec
from splitnet.bundle import Bundle
from splitnet.bundle.build import build_bundle
from splitnet.bundle.source import ImportOptions
from splitnet.cloud import InferenceService
from splitnet.cloud.batching import BatchSettings
from splitnet.cloud.server import Server
from splitnet.edge.encoder import EdgeEncoder
from splitnet.errors import InvalidRequestError
from splitnet.runtime.bundled import load_graph
from splitnet.runtime.graph import Array
from splitnet.v1 import inference_pb2 as pb
from splitnet.v1 import inference_pb2_grpc as pb_grpc
from splitnet.wire.exchange import InferenceRequest
from splitnet.wire.messages import model_from_message, model_to_message, response_from_message

SIZES = [(32, 48), (8, 16), (64, 96), (48, 32), (16, 200)]
TWO = "deep-and-1"


@pytest.fixture(scope="module")
def service(pyramid_bundle: Bundle) -> InferenceService:
    return InferenceService([pyramid_bundle])


def features(bundle: Bundle, cut: str, size: tuple[int, int], seed: int = 0) -> tuple[tuple[Array, ...], list[Array]]:
    """What crosses for a random image, and mask and scores of the whole network."""
    image = np.random.default_rng((seed, *size)).standard_normal((1, 3, *size), np.float32)
    crossing = EdgeEncoder(bundle, cut).crossing(image)
    return crossing, load_graph(bundle, bundle.manifest.whole).run({"photo": image}, ["mask", "scores"])


def request(
    bundle: Bundle, cut: str, tensors: list[Array] | tuple[Array, ...], codec: str = "none|raw"
) -> InferenceRequest:
    frame = featcodec.encode_many(tensors, codec)
    return InferenceRequest(bundle.manifest.name, bundle.fingerprint, cut, frame, outputs=True)


@pytest.mark.parametrize("cut", ["r1", TWO])
async def test_all_sizes_at_once(cut: str, pyramid_bundle: Bundle) -> None:
    made = [features(pyramid_bundle, cut, size, seed) for seed in range(4) for size in SIZES]
    # It waits for others, so that there are batches.
    service = InferenceService([pyramid_bundle], batching=BatchSettings(max_batch=16, max_wait=0.05))
    async with (
        Server(service) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub = pb_grpc.InferenceServiceStub(channel)

        async def infer(tensors: tuple[Array, ...]) -> pb.InferResponse:
            one = request(pyramid_bundle, cut, tensors)
            return await stub.Infer(
                pb.InferRequest(
                    model=one.model,
                    fingerprint=bytes.fromhex(one.fingerprint),
                    cut=cut,
                    frame=one.frame,
                    outputs=True,
                ),
                timeout=30,
            )

        answers = await asyncio.gather(*[infer(tensors) for tensors, _ in made])
    for answer, (_, expected) in zip(answers, made, strict=True):
        outputs = response_from_message(answer).outputs
        for name, wanted in zip(("mask", "scores"), expected, strict=True):
            np.testing.assert_allclose(outputs[name], wanted[0], atol=1e-5 * np.abs(wanted).max())


def test_tensors_that_do_not_belong_together(pyramid_bundle: Bundle, service: InferenceService) -> None:
    (deep, _), _ = features(pyramid_bundle, TWO, (32, 48))
    for size in ((8, 16), (64, 96), (32, 56), (24, 48)):
        (_, other), _ = features(pyramid_bundle, TWO, size)
        with pytest.raises(
            InvalidRequestError, match=r"holds float32 \(1, 4, 8, 12\), .*of no image that the network takes"
        ):
            service.infer(request(pyramid_bundle, TWO, [deep, other]))


def test_a_row_and_a_column_are_of_no_image(pyramid_bundle: Bundle, service: InferenceService) -> None:
    """Each is small; what an addition makes of both would be their product."""
    row, column = np.zeros((1, 4, 1, 400), np.float32), np.zeros((1, 4, 400, 1), np.float32)
    with pytest.raises(InvalidRequestError, match="are of no one image"):
        service.infer(request(pyramid_bundle, TWO, [row, column]))


async def test_their_code_is_invalid_argument_and_others_of_the_batch_are_answered(pyramid_bundle: Bundle) -> None:
    (deep, r1), _ = features(pyramid_bundle, TWO, (32, 48))
    (_, other), _ = features(pyramid_bundle, TWO, (64, 96))
    service = InferenceService([pyramid_bundle], batching=BatchSettings(max_batch=16, max_wait=0.05))
    outcomes = await asyncio.gather(
        *[
            service.submit(request(pyramid_bundle, TWO, tensors))
            for tensors in ([deep, r1], [deep, other], [deep, r1], [deep, other])
        ],
        return_exceptions=True,
    )
    service.close()
    assert [type(one).__name__ for one in outcomes] == ["InferenceResponse", "InvalidRequestError"] * 2


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 4, 0, 24), r"takes float32 \(1, 4, 16\*, 24\*\), where \* follows the image's size"),
        ((1, 5, 16, 24), "cut r1 takes"),
        ((2, 4, 16, 24), "cut r1 takes"),
        ((1, 4, 16), "cut r1 takes"),
        ((1, 4, 16, 24, 1), "cut r1 takes"),
        ((0, 4, 16, 24), "cut r1 takes"),
        ((1, 4, 40, 60), "at most 4 times the nominal number of pixels|holds more than cut r1 takes"),
        ((1, 4, 3000, 3000), "holds more than cut r1 takes"),
        ((1, 4, 1, 8000), "holds more than cut r1 takes"),
    ],
)
def test_frames_of_no_size(
    shape: tuple[int, ...], message: str, pyramid_bundle: Bundle, service: InferenceService
) -> None:
    frame = featcodec.encode(np.zeros(shape, np.float32), "none|zlib")
    with pytest.raises(InvalidRequestError, match=message) as caught:
        service.infer(InferenceRequest("pyramid", pyramid_bundle.fingerprint, "r1", frame))
    assert "\n" not in str(caught.value)


def test_the_smaller_tensor_has_a_limit_of_its_own(pyramid_bundle: Bundle, service: InferenceService) -> None:
    (_, r1), _ = features(pyramid_bundle, TWO, (8, 16))
    with pytest.raises(InvalidRequestError, match=r"\(1, 4, 24, 36\), at the nominal size it is \(1, 4, 8, 12\)"):
        service.infer(request(pyramid_bundle, TWO, [np.zeros((1, 4, 24, 36), np.float32), r1]))


@pytest.mark.parametrize("shape", [(33, 48), (32, 50), (0, 48), (4, 4)])
def test_an_input_that_is_no_multiple(
    shape: tuple[int, int], pyramid_bundle: Bundle, service: InferenceService
) -> None:
    tensor = np.zeros((1, 3, *shape), np.float32)
    with pytest.raises(InvalidRequestError, match=r"no multiples of 8|cut input takes"):
        service.infer(request(pyramid_bundle, "input", [tensor]))


def test_a_network_that_does_not_run_at_a_size(tmp_path: Path) -> None:
    """Too small for the kernel, which no check of shapes knows: the client's fault, and not the service's."""
    import onnx

    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]> net (float[N, 3, H, W] x) => (float[N, 3] y) {
            a = Relu(x)  b = MaxPool<kernel_shape = [7, 7]>(a)  p = GlobalAveragePool(b)  y = Flatten(p)
        }
    """)
    onnx.save(model, tmp_path / "net.onnx")
    bundle = build_bundle(
        tmp_path / "net.onnx", tmp_path / "b", cuts=["a"], options=ImportOptions(size=(16, 16), any_size=2)
    )
    service = InferenceService([bundle])
    assert service.infer(request(bundle, "a", [np.ones((1, 3, 8, 8), np.float32)])).outputs["y"].shape == (3,)
    with pytest.raises(InvalidRequestError, match="of no image that the network takes"):
        service.infer(request(bundle, "a", [np.ones((1, 3, 4, 4), np.float32)]))


def test_the_description_says_what_is_free(pyramid_bundle: Bundle, service: InferenceService) -> None:
    described = service.describe("pyramid")
    (two,) = (cut for cut in described.cuts if cut.name == TWO)
    assert two.free == ((1, 2), (1, 2))
    message = model_to_message(described)
    assert (message.input.multiple, list(message.cuts[-1].free)) == (8, [1, 2])
    again = model_from_message(message)
    assert again.cuts == described.cuts
    assert again.input == described.input.model_copy(update={"tensor": ""})


def test_nothing_of_it_for_a_bundle_of_one_size(tiny_bundle: Bundle) -> None:
    service = InferenceService([tiny_bundle])
    described = service.describe("tiny")
    assert [cut.free for cut in described.cuts] == [(), ()]
    message = model_to_message(described)
    assert (message.input.multiple, [list(cut.free) for cut in message.cuts]) == (0, [[], []])
    (shape,) = {cut.shape for cut in described.cuts if cut.name == "r1"}
    frame = featcodec.encode(np.zeros((1, shape[0], shape[1] - 1, shape[2]), np.float32), "none|raw")
    with pytest.raises(InvalidRequestError, match="cut r1 takes"):
        service.infer(InferenceRequest("tiny", tiny_bundle.fingerprint, "r1", frame))
