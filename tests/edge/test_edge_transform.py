"""Calibrated cuts from photo to answer: over a real socket, in one process, and everything that can be wrong."""

from __future__ import annotations

import contextlib
import dataclasses
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import featcodec
from splitnet import AsyncEdge, Bundle, Edge
from splitnet.bundle import Calibration, add_transforms
from splitnet.bundle.build import build_bundle
from splitnet.cloud import InferenceService
from splitnet.demo.server import server_process
from splitnet.edge.encoder import PLAIN_CODEC, EdgeEncoder
from splitnet.errors import FingerprintError, ImageError, InvalidRequestError, OverloadedError, UsageError
from splitnet.models import preprocess
from splitnet.runtime import Array
from splitnet.runtime.bundled import load_graph
from splitnet.wire.exchange import InferenceRequest

ProfileMaker = Callable[..., featcodec.TransformProfile]
BLOCKS = {"r1": (8, 4), "r2": (8, 8), "flat": (1, 1)}


@pytest.fixture(scope="module")
def plain(tiny_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return build_bundle(tiny_file, tmp_path_factory.mktemp("plain") / "bundle", cuts=["r1", "r2", "pool", "flat"])


@pytest.fixture(scope="module")
def bundle(plain: Bundle, profile_for: ProfileMaker) -> Bundle:
    """Calibrated at r1 (2 x 4 blocks), r2 (one block) and flat (a vector), not at pool."""
    given = [Calibration(cut, profile_for(plain, cut, blocks).to_bytes(), step=0.5) for cut, blocks in BLOCKS.items()]
    return add_transforms(plain, given, out=plain.path.with_name("calibrated"))


@pytest.fixture(scope="module")
def address(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server_process(bundle.path, tmp_path_factory.mktemp("server") / "server.log") as running:
        yield running


@pytest.fixture
def photo() -> Array:
    return np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)


@pytest.mark.parametrize("cut", BLOCKS)
def test_local_and_remote_give_the_same_answer_near_the_plain_one(
    bundle: Bundle, address: str, photo: Array, cut: str
) -> None:
    answers = []
    for server in ("local", address):
        with Edge(bundle, server, cut=cut, codec="transform:step=0.02|rans") as edge:
            edge.connect()
            answers.append(edge.infer(photo, outputs=True))
    local, remote = answers
    assert local.frame_bytes == remote.frame_bytes
    for task in ("scores", "vector"):
        np.testing.assert_array_equal(local.outputs[task], remote.outputs[task])
    with Edge(bundle, cut=cut, codec="none|raw") as edge:
        exact = edge.infer(photo, outputs=True)
    assert local.frame_bytes < exact.frame_bytes + 10
    scale = np.abs(exact.outputs["scores"]).max()
    np.testing.assert_allclose(local.outputs["scores"], exact.outputs["scores"], atol=0.05 * scale)


async def test_async(bundle: Bundle, address: str, photo: Array) -> None:
    async with AsyncEdge(bundle, address, cut="r2") as edge:
        await edge.connect()
        mine = await edge.infer(photo, outputs=True)
    with Edge(bundle, cut="r2") as local:
        np.testing.assert_array_equal(local.infer(photo, outputs=True).outputs["scores"], mine.outputs["scores"])


@pytest.mark.parametrize("codec", [None, ""])
def test_the_default_codec_is_the_cuts_own(bundle: Bundle, plain: Bundle, photo: Array, codec: str | None) -> None:
    assert EdgeEncoder(bundle).cut.name == "flat"
    assert str(EdgeEncoder(bundle, "r2", codec).spec) == "transform:step=0.5|rans"
    assert EdgeEncoder(bundle, "pool", codec).spec == featcodec.parse_spec(PLAIN_CODEC)
    assert EdgeEncoder(plain, "r2", codec).spec == featcodec.parse_spec(PLAIN_CODEC)
    with Edge(bundle, cut="r2", codec=codec) as edge:
        assert edge.connect().summary.fingerprint == bundle.fingerprint
        before = edge.infer(photo).frame_bytes
        edge.encoder.step = 4.0
        assert edge.infer(photo).frame_bytes < before


def test_a_cut_without_a_profile(bundle: Bundle, plain: Bundle) -> None:
    with pytest.raises(UsageError, match=r"cut pool has no calibrated profile; r1, r2, flat have one; .*calibrate`"):
        EdgeEncoder(bundle, "pool", "transform|rans")
    with pytest.raises(UsageError, match="cut r2 has no calibrated profile; no cut of this bundle has; make"):
        EdgeEncoder(plain, "r2", "transform|rans")


def test_only_the_graph_that_is_needed_is_loaded(bundle: Bundle, monkeypatch: pytest.MonkeyPatch, photo: Array) -> None:
    loaded: list[str] = []

    def load(given: Bundle, path: str, *, threads: int) -> object:
        loaded.append(path)
        return load_graph(given, path, threads=threads)

    monkeypatch.setattr("splitnet.edge.halves.load_graph", load)
    encoder = EdgeEncoder(bundle, "r2")
    encoder.encode(photo)
    encoder.step = 0.25
    encoder.encode(photo)
    assert loaded == ["cuts/r2.transform.edge.onnx"]
    encoder.features(_tensor(bundle, photo))
    encoder.features(_tensor(bundle, photo))
    assert loaded == ["cuts/r2.transform.edge.onnx", "cuts/r2.edge.onnx"]
    EdgeEncoder(bundle, "r2", "none|raw").encode(photo)
    assert loaded[2:] == ["cuts/r2.edge.onnx"]


def _tensor(bundle: Bundle, photo: Array) -> Array:
    return preprocess.normalise(photo, bundle.manifest.image_input)


def test_the_step_changes_from_photo_to_photo(bundle: Bundle, photo: Array) -> None:
    encoder = EdgeEncoder(bundle, "r1", "transform:step=4|rans")
    assert encoder.step == 4
    sizes = []
    for step in (4, 1, 0.25):
        encoder.step = step
        frame = encoder.encode(photo).frame
        assert featcodec.info(frame).spec == str(featcodec.parse_spec(f"transform:step={step}|rans"))
        assert frame == EdgeEncoder(bundle, "r1", f"transform:step={step}|rans").encode(photo).frame
        sizes.append(len(frame))
    assert sizes == sorted(sizes)
    for wrong in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(UsageError, match="step"):
            encoder.step = wrong
    assert encoder.step == 0.25
    with pytest.raises(UsageError, match=r"codec none\|raw has no step"):
        EdgeEncoder(bundle, "r1", "none|raw").step = 1.0


@pytest.mark.parametrize("cut", BLOCKS)
def test_the_graphs_symbols_are_the_hosts(bundle: Bundle, photo: Array, cut: str) -> None:
    encoder = EdgeEncoder(bundle, cut)
    profile = featcodec.load_profile(bundle.open_bytes(f"profiles/{cut}.safetensors"))
    profiles = {profile.fingerprint: profile}
    host = encoder.compress(encoder.features(_tensor(bundle, photo)))
    graph = encoder.encode(photo).frame
    mine, theirs = (featcodec.decode_coefficients(frame, profiles=profiles) / 0.5 for frame in (graph, host))
    difference = np.abs(mine - theirs)
    assert difference.max() <= 1 + 1e-6
    assert np.mean(difference > 1e-6) < 1e-2
    assert featcodec.info(graph).tensors[0].shape == (1, *encoder.cut.shape)
    assert featcodec.decode(graph, profiles=profiles).shape == (1, *encoder.cut.shape)


def test_what_int16_cannot_hold_says_what_to_do(bundle: Bundle, photo: Array, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = EdgeEncoder(bundle, "r1", "transform:step=0.001|rans")
    real = preprocess.normalise
    scale = 1e3
    monkeypatch.setattr(preprocess, "normalise", lambda *given: real(*given) * np.float32(scale))
    with pytest.raises(ImageError, match=r"cut r1: a symbol is beyond 32767 at step 0\.001; take a larger step"):
        encoder.encode(photo)
    scale = float("nan")
    with pytest.raises(ImageError, match="cut r1: they are not finite: the network makes NaN or infinity"):
        encoder.encode(photo)
    scale = 1.0
    encoder.step = 1.0
    assert encoder.encode(photo).frame


@pytest.fixture(scope="module")
def service(bundle: Bundle) -> InferenceService:
    return InferenceService([bundle], max_frame_bytes=100_000)


def _request(bundle: Bundle, frame: bytes, cut: str = "r2") -> InferenceRequest:
    return InferenceRequest("tiny", bundle.fingerprint, cut, frame)


def test_every_cut_takes_plain_frames_too(service: InferenceService, bundle: Bundle, photo: Array) -> None:
    for cut in (*BLOCKS, "pool"):
        frame = EdgeEncoder(bundle, cut, "none|raw").encode(photo).frame
        assert service.infer(_request(bundle, frame, cut)).results


def test_frames_of_another_profile(
    service: InferenceService, bundle: Bundle, profile_for: ProfileMaker, photo: Array
) -> None:
    features = EdgeEncoder(bundle, "r2").features(_tensor(bundle, photo))
    other = profile_for(bundle, "r2", (4, 4))
    frame = featcodec.encode(features, "transform:step=0.5|rans", profile=other)
    ours = featcodec.load_profile(bundle.open_bytes("profiles/r2.safetensors"))
    says = f"needs profile {other.fingerprint[:8].hex()}, but cut r2 of tiny has {ours.fingerprint[:8].hex()}; deploy"
    with pytest.raises(FingerprintError, match=says):
        service.infer(_request(bundle, frame))
    pooled = featcodec.encode(np.zeros((1, 8, 1, 1), "f4"), "transform|rans", profile=profile_for(bundle, "pool"))
    with pytest.raises(FingerprintError, match=r"but cut pool of tiny has none; deploy the same bundle"):
        service.infer(_request(bundle, pooled, "pool"))


def test_a_frame_for_another_cut_is_not_decoded(service: InferenceService, bundle: Bundle, photo: Array) -> None:
    frame = EdgeEncoder(bundle, "r2").encode(photo).frame
    with pytest.raises(FingerprintError, match="but cut r1 of tiny has"):
        service.infer(_request(bundle, frame, "r1"))


def test_hostile_frames(service: InferenceService, bundle: Bundle, photo: Array) -> None:
    frame = EdgeEncoder(bundle, "r2").encode(photo).frame
    assert service.infer(_request(bundle, frame)).results
    shape = bytes((1, 8, 8, 8))
    assert frame.count(shape) == 1
    bodies = [frame[:-4].replace(shape, other) for other in (bytes((1, 8, 8, 7)), bytes((1, 8, 4, 16)), b"\x7f" * 4)]
    bodies += [frame[:40], frame[:-12], frame[:-4] + b"\0" * 8, frame[:-4].replace(b"0.5", b"9e9")]
    for body in bodies:
        with pytest.raises(InvalidRequestError, match=r"malformed frame|holds more than cut r2 takes"):
            service.infer(_request(bundle, body + zlib.crc32(body).to_bytes(4, "little")))
    with pytest.raises(InvalidRequestError, match="malformed frame"):
        service.infer(_request(bundle, frame[:-1] + bytes([frame[-1] ^ 1])))
    with pytest.raises(OverloadedError, match="over the limit of 100000"):
        service.infer(_request(bundle, frame + bytes(100_000)))


def test_every_altered_byte_is_an_answer_or_an_error(service: InferenceService, bundle: Bundle, photo: Array) -> None:
    frame = EdgeEncoder(bundle, "r2", "transform:step=4|rans").encode(photo).frame[:-4]
    for index in range(len(frame)):
        body = bytearray(frame)
        body[index] ^= 0x55
        with contextlib.suppress(InvalidRequestError, FingerprintError):
            assert service.infer(_request(bundle, bytes(body) + zlib.crc32(body).to_bytes(4, "little"))).results


def test_a_server_without_the_codec(bundle: Bundle) -> None:
    from splitnet.edge.local import LocalTransport
    from splitnet.wire.exchange import ModelInfo

    class Old(LocalTransport):
        def describe(self, name: str, version: str = "", timeout: float | None = None) -> ModelInfo:
            return dataclasses.replace(super().describe(name, version, timeout), codec_stages=("none", "raw", "rans"))

    transport = Old(InferenceService([bundle]))
    with Edge(bundle, transport) as edge, pytest.raises(InvalidRequestError, match="no codec stage 'transform'"):
        edge.connect()
