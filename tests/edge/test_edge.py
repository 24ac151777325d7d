"""The Python API of the device: both clients, in memory and over a real socket."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splitnet import AsyncEdge, Bundle, Edge
from splitnet.cloud import InferenceService
from splitnet.demo.server import server_process
from splitnet.edge.local import LocalTransport
from splitnet.errors import (
    FingerprintError,
    ImageError,
    InvalidRequestError,
    LateError,
    OverloadedError,
    SplitnetError,
    UnavailableError,
    UnimplementedError,
    UnknownError,
    UsageError,
)
from splitnet.tasks import Classification, Embedding
from splitnet.wire.exchange import CutInfo, ModelInfo, ModelSummary


@pytest.fixture(scope="module")
def address(lite0_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server_process(lite0_bundle.path, tmp_path_factory.mktemp("server") / "server.log") as running:
        yield running


def _listener(address: str) -> int:
    """Process id of this test's own child that was started last: the server at `address`."""
    children = (
        Path(f"/proc/{os.getpid()}/task/{threading.get_native_id()}/children").read_text(encoding="ascii").split()
    )
    assert children, address
    return int(children[-1])


def _top1(result: object) -> int:
    assert isinstance(result, Classification)
    return result.top[0].index


def test_local_and_remote_give_the_same_answer(lite0_bundle: Bundle, address: str, photos: tuple[Path, ...]) -> None:
    answers = []
    for server in ("local", address):
        with Edge(lite0_bundle, server, cut="block4", codec="none|zlib") as edge:
            edge.connect()
            answers.append(edge.infer(photos[0], outputs=True))
    local, remote = answers
    assert local.frame_bytes == remote.frame_bytes
    np.testing.assert_array_equal(local.outputs["classification"], remote.outputs["classification"])
    assert local.results["classification"] == remote.results["classification"]
    assert _top1(local.results["classification"]) == 243
    vectors = [one.results["embedding"] for one in answers]
    assert all(isinstance(one, Embedding) and one.values.shape == (1280,) for one in vectors)


async def test_async_answers_many_at_once(lite0_bundle: Bundle, address: str, photos: tuple[Path, ...]) -> None:
    async with AsyncEdge(lite0_bundle, address) as edge:
        await edge.connect()
        found = await asyncio.gather(*(edge.infer(photo, ["classification"], timeout=30) for photo in photos[:6]))
    with Edge(lite0_bundle, "local") as local:
        expected = [_top1(local.infer(photo).results["classification"]) for photo in photos[:6]]
    assert [_top1(one.results["classification"]) for one in found] == expected
    assert all(list(one.results) == ["classification"] for one in found)


async def test_async_local(lite0_bundle: Bundle, photos: tuple[Path, ...]) -> None:
    async with AsyncEdge(lite0_bundle, "local") as edge:
        await edge.connect()
        assert _top1((await edge.infer(photos[1])).results["classification"]) == 559


def test_paths_bytes_images_and_pixels_are_the_same_photo(lite0_bundle: Bundle, photos: tuple[Path, ...]) -> None:
    with Edge(str(lite0_bundle.path)) as edge, Image.open(photos[2]) as opened:
        pixels = np.asarray(opened.convert("RGB"))
        same = (str(photos[2]), photos[2].read_bytes(), opened, pixels)
        answers = [edge.infer(one).results["classification"] for one in same]
    assert all(answer == answers[0] for answer in answers)


@pytest.mark.parametrize("kind", ["turned", "16 bit", "transparent"])
def test_an_open_image_is_treated_like_its_file(lite0_bundle: Bundle, tmp_path: Path, kind: str) -> None:
    ramp = np.linspace(0, 65535, 300 * 400, dtype=np.uint16).reshape(300, 400)
    path = tmp_path / "photo.png"
    exif = Image.Exif()
    exif[0x0112] = 6
    match kind:
        case "turned":
            Image.fromarray((ramp >> 8).astype(np.uint8)).convert("RGB").save(path, exif=exif)
        case "16 bit":
            Image.fromarray(ramp).save(path)
        case _:
            Image.new("RGBA", (300, 300), (255, 0, 0, 100)).save(path)
    with Edge(lite0_bundle) as edge, Image.open(path) as opened:
        assert edge.infer(path).results["classification"] == edge.infer(opened).results["classification"]


def test_a_thin_photo_is_refused_before_it_fills_the_memory(lite0_bundle: Bundle, tmp_path: Path) -> None:
    Image.new("RGB", (1, 60_000)).save(tmp_path / "thin.png")
    with Edge(lite0_bundle) as edge, pytest.raises(ImageError, match="1x60000 pixels is too thin"):
        edge.infer(tmp_path / "thin.png")


def test_failed_streams_leave_no_threads_behind(lite0_bundle: Bundle, tmp_path: Path) -> None:
    blank = np.zeros((224, 224, 3), np.uint8)
    with server_process(lite0_bundle.path, tmp_path / "log", "--max-frame-bytes", "1000") as address:
        before = threading.active_count()
        edge = Edge(lite0_bundle, address, cut="block4", codec="none|raw")
        for _ in range(8):
            with pytest.raises(OverloadedError):
                edge.infer(blank)
        edge.close()
        for _ in range(200):
            if threading.active_count() <= before:
                break
            time.sleep(0.01)
        assert threading.active_count() <= before


def test_a_frame_over_the_servers_limit_is_not_sent(lite0_bundle: Bundle, tmp_path: Path) -> None:
    with (
        server_process(lite0_bundle.path, tmp_path / "log", "--max-frame-bytes", "1000") as address,
        Edge(lite0_bundle, address, codec="none|raw") as edge,
    ):
        edge.connect()
        with pytest.raises(OverloadedError, match="over the server's limit of 1000"):
            edge.infer(np.zeros((224, 224, 3), np.uint8))


async def test_a_closed_client_says_so(lite0_bundle: Bundle, address: str) -> None:
    blank = np.zeros((224, 224, 3), np.uint8)
    edge, other = Edge(lite0_bundle, address), AsyncEdge(lite0_bundle, address)
    edge.close()
    await other.aclose()
    with pytest.raises(UsageError, match="closed"):
        edge.infer(blank)
    with pytest.raises(UsageError, match="closed"):
        await other.infer(blank)


async def test_late_requests_do_not_break_the_stream_for_others(lite0_bundle: Bundle, tmp_path: Path) -> None:
    blank = np.zeros((224, 224, 3), np.uint8)
    with server_process(lite0_bundle.path, tmp_path / "log") as address:
        # Stopped, the server neither reads nor answers, and HTTP/2's window fills.
        server = _listener(address)
        async with AsyncEdge(lite0_bundle, address, cut="block4", codec="none|raw") as edge:
            await edge.infer(blank, timeout=30)
            os.kill(server, signal.SIGSTOP)
            patient = asyncio.create_task(edge.infer(blank, timeout=60))
            late = await asyncio.gather(*(edge.infer(blank, timeout=0.2) for _ in range(12)), return_exceptions=True)
            os.kill(server, signal.SIGCONT)
            assert all(isinstance(one, LateError) for one in late), late
            assert (await patient).results


def test_the_trace_accounts_for_the_total(lite0_bundle: Bundle, address: str, photos: tuple[Path, ...]) -> None:
    with Edge(lite0_bundle, address) as edge:
        trace = edge.infer(photos[0]).trace
    assert 0 < trace.wire < trace.total
    assert trace.edge + trace.wire + trace.cloud <= trace.total * (1 + 1e-9)
    assert trace.edge_graph > 0
    assert trace.cloud_graph > 0
    assert 0 < trace.overhead < trace.total


def test_the_default_cut_sends_fewest_values(lite0_bundle: Bundle) -> None:
    with Edge(lite0_bundle) as edge:
        assert edge.cut == "block7"


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        ({"cut": "block99"}, UsageError, "no cut 'block99'.*block7"),
        ({"cut": "block3"}, UsageError, "block3.*block4, block7, block10"),
        ({"codec": "affine:bits=99"}, UsageError, "affine:bits=99"),
        ({"codec": "zip"}, UsageError, "'zip'"),
        ({"server": "nowhere"}, UsageError, "not HOST:PORT"),
    ],
)
def test_wrong_options(lite0_bundle: Bundle, options: dict[str, str], error: type[SplitnetError], says: str) -> None:
    with pytest.raises(error, match=says):
        Edge(
            lite0_bundle, options.get("server", "local"), cut=options.get("cut", ""), codec=options.get("codec", "none")
        )


def test_wrong_images_and_tasks(lite0_bundle: Bundle, tmp_path: Path) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(b"\xff\xd8\xff not a photo")
    with Edge(lite0_bundle) as edge:
        with pytest.raises(ImageError, match=r"broken\.jpg"):
            edge.infer(broken)
        with pytest.raises(ImageError, match=r"float32 \(3, 4\); give uint8"):
            edge.infer(np.zeros((3, 4), np.float32))
        with pytest.raises(UsageError, match="no task 'poetry'"):
            edge.infer(np.zeros((9, 9, 3), np.uint8), ["poetry"])


def test_nobody_listens(lite0_bundle: Bundle) -> None:
    with Edge(lite0_bundle, "127.0.0.1:1") as edge, pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1; is"):
        edge.connect(timeout=5)


async def test_nobody_listens_async(lite0_bundle: Bundle) -> None:
    async with AsyncEdge(lite0_bundle, "127.0.0.1:1") as edge:
        with pytest.raises(UnavailableError):
            await edge.connect(timeout=5)
        with pytest.raises(UnavailableError):
            await edge.infer(np.zeros((224, 224, 3), np.uint8), timeout=5)


def test_somebody_else_listens(lite0_bundle: Bundle) -> None:
    from http.server import BaseHTTPRequestHandler, HTTPServer
    from threading import Thread

    with HTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        thread = Thread(target=other.serve_forever, daemon=True)
        thread.start()
        with (
            Edge(lite0_bundle, f"127.0.0.1:{other.server_port}") as edge,
            pytest.raises((UnavailableError, UnimplementedError, LateError)),
        ):
            edge.connect(timeout=2)
        other.shutdown()
        thread.join()


async def test_a_deadline_is_kept_on_the_client(lite0_bundle: Bundle, address: str) -> None:
    async with AsyncEdge(lite0_bundle, address) as edge:
        await edge.connect()
        with pytest.raises(LateError, match="within 1e-06 s"):
            await edge.infer(np.zeros((224, 224, 3), np.uint8), timeout=1e-6)
        # The stream goes on after a request that came too late.
        assert (await edge.infer(np.zeros((224, 224, 3), np.uint8), timeout=30)).results


def test_a_deadline_is_kept_for_callers_that_block(lite0_bundle: Bundle, address: str) -> None:
    for server in ("local", address):
        with Edge(lite0_bundle, server) as edge, pytest.raises(LateError):
            edge.infer(np.zeros((224, 224, 3), np.uint8), timeout=1e-6)


class _Other(LocalTransport):
    """A server that describes itself in a way that does not fit."""

    def __init__(self, service: InferenceService, **changes: object) -> None:
        super().__init__(service)
        self._changes = changes

    def describe(self, name: str, version: str = "", timeout: float | None = None) -> ModelInfo:
        from dataclasses import replace

        return replace(super().describe(name, version, timeout), **self._changes)  # type: ignore[arg-type]  # any field


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"summary": ModelSummary("efficientnet-lite0", "1", "00" * 32)}, FingerprintError),
        ({"cuts": (CutInfo("block1", (1,), "float32", 0, 0),)}, UnknownError),
        ({"codec_stages": ("none", "raw")}, InvalidRequestError),
    ],
)
def test_connect_refuses_a_server_that_does_not_fit(
    lite0_bundle: Bundle, changes: dict[str, object], error: type[SplitnetError]
) -> None:
    service = InferenceService([lite0_bundle])
    with Edge(lite0_bundle, _Other(service, **changes)) as edge, pytest.raises(error):
        edge.connect()


async def test_a_broken_stream_fails_what_is_in_flight_and_the_next_request_opens_another(
    lite0_bundle: Bundle, tmp_path: Path
) -> None:
    from splitnet.cloud.server import Server

    blank = np.zeros((224, 224, 3), np.uint8)
    service = InferenceService([lite0_bundle])
    server = Server(service)
    await server.start()
    async with AsyncEdge(lite0_bundle, server.address) as edge:
        assert (await edge.infer(blank, timeout=30)).results
        await server.stop(grace=0)
        with pytest.raises(UnavailableError):
            await edge.infer(blank, timeout=30)
        async with Server(service, listen=server.address):
            for _ in range(50):
                try:
                    answer = await edge.infer(blank, timeout=30)
                    break
                except UnavailableError:
                    await asyncio.sleep(0.1)
            assert answer.results
