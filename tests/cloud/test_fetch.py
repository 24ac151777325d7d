"""Bundles that are fetched: round trips over a real socket, breaks, and servers that mean harm."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from typer.testing import CliRunner

from splitnet.bundle import Bundle
from splitnet.bundle.manifest import Manifest
from splitnet.cli import app
from splitnet.cloud import InferenceService
from splitnet.cloud.access.caller import ANYONE, Caller, Permits
from splitnet.cloud.repository import download
from splitnet.cloud.repository.download import Downloads
from splitnet.cloud.server import Server
from splitnet.edge import fetch as fetch_module
from splitnet.edge.client import Edge
from splitnet.edge.fetch import FetchLimits, fetch_bundle
from splitnet.errors import (
    BundleError,
    FingerprintError,
    InternalError,
    InvalidRequestError,
    OverloadedError,
    PermissionDeniedError,
    ServiceError,
    UnavailableError,
    UnknownError,
    UsageError,
)
from splitnet.v1 import inference_pb2 as pb
from splitnet.wire.exchange import Chunk, Wanted
from splitnet.wire.messages import chunk_to_message, wanted_from_message
from tests.cloud.conftest import Deploy

FEW = FetchLimits(attempts=2, stall=5.0)


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "CHUNK_BYTES", 500)
    monkeypatch.setattr(fetch_module, "_PAUSE", 0.0)


class Answers:
    """In the place of gRPC's stub: what `send` yields for each request; its errors are ours."""

    def __init__(self, send: Callable[[Wanted], Iterator[Chunk | pb.BundleChunk]]) -> None:
        self._send = send
        self.asked: list[Wanted] = []

    def __call__(self, channel: object) -> Answers:
        return self

    def FetchBundle(self, request: pb.FetchBundleRequest, timeout: float, metadata: object) -> Any:  # noqa: N802 - gRPC's name
        wanted = wanted_from_message(request)
        self.asked.append(wanted)
        return _Call(self._send(wanted))


class _Call:
    def __init__(self, chunks: Iterator[Chunk | pb.BundleChunk]) -> None:
        self._chunks = chunks

    def __next__(self) -> pb.BundleChunk:
        chunk = next(self._chunks)
        return chunk_to_message(chunk) if isinstance(chunk, Chunk) else chunk

    def cancel(self) -> None:
        """Nothing runs."""


def _honest(bundle: Bundle) -> Callable[[Wanted], Iterator[Chunk]]:
    downloads = Downloads(InferenceService([bundle]))

    def send(wanted: Wanted) -> Iterator[Chunk]:
        async def collect() -> list[Chunk]:
            return [chunk async for chunk in downloads.send(wanted, ANYONE)]

        yield from asyncio.run(collect())

    return send


Serve = Callable[[Callable[[Wanted], Iterator[Chunk | pb.BundleChunk]]], Answers]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Serve:
    def put(send: Callable[[Wanted], Iterator[Chunk | pb.BundleChunk]]) -> Answers:
        answers = Answers(send)
        monkeypatch.setattr("splitnet.edge.fetch.pb_grpc.InferenceServiceStub", answers)
        return answers

    return put


def _fetch(out: Path, **more: Any) -> Bundle:
    return fetch_bundle("tiny", "127.0.0.1:1", out, limits=FEW, **more)


async def test_over_a_real_socket(tiny_bundle: Bundle, tmp_path: Path) -> None:
    async with Server(InferenceService([tiny_bundle])) as server:
        whole = await asyncio.to_thread(fetch_bundle, "tiny", server.address, tmp_path / "whole")
        arguments = ["fetch", "tiny", "--server", server.address, "--out", str(tmp_path / "edge"), "--edge-only"]
        done = await asyncio.to_thread(CliRunner().invoke, app, arguments)
        with pytest.raises(UnknownError, match="no version '9'"):
            await asyncio.to_thread(fetch_bundle, "tiny", server.address, tmp_path / "none", version="9")
    assert whole.fingerprint == tiny_bundle.fingerprint
    whole.verify()
    assert done.exit_code == 0, done.exception
    assert tiny_bundle.fingerprint in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir() if "fetch" in path.name) == []


def test_only_the_edges_half(tiny_bundle: Bundle, tmp_path: Path, serve: Serve) -> None:
    serve(_honest(tiny_bundle))
    bundle = _fetch(tmp_path / "b", edge_only=True)
    present = {path.relative_to(bundle.path).as_posix() for path in bundle.path.rglob("*") if path.is_file()}
    assert present == {"bundle.json", "cuts/r1.edge.onnx", "cuts/r2.edge.onnx"}
    assert bundle.fingerprint == tiny_bundle.fingerprint
    bundle.verify(half="edge")
    with Edge(bundle.path, "127.0.0.1:1", codec="none|raw") as edge:
        assert edge.encoder.encode(tiny_photo()).frame
    with pytest.raises(BundleError, match=r"cloud\.onnx is missing.*fetch all of it"):
        Bundle.load(bundle.path)
    with pytest.raises(BundleError, match="is missing"):
        Edge(bundle.path, "local")
    # A bundle of one half is replaced by a whole one.
    _fetch(bundle.path).verify()


def tiny_photo() -> Any:
    import numpy as np

    return np.zeros((20, 20, 3), np.uint8)


@pytest.mark.parametrize("breaks_after", [1, 4, 9])
def test_a_break_is_gone_on_from(tiny_bundle: Bundle, tmp_path: Path, serve: Serve, breaks_after: int) -> None:
    honest = _honest(tiny_bundle)

    def send(wanted: Wanted) -> Iterator[Chunk]:
        for number, chunk in enumerate(honest(wanted)):
            if not wanted.path and number == breaks_after + manifest_chunks:
                raise UnavailableError("the link broke")
            yield chunk

    manifest_chunks = -(-len(tiny_bundle.manifest.canonical()) // 500)
    answers = serve(send)
    _fetch(tmp_path / "b").verify()
    first, second = answers.asked
    assert (first.path, first.offset) == ("", 0)
    assert second.fingerprint == tiny_bundle.fingerprint
    before = [file.path for file in tiny_bundle.manifest.files].index(second.path)
    size = sum(file.size for file in tiny_bundle.manifest.files[:before]) + second.offset
    assert size > 0


def test_a_later_call_goes_on_too(tiny_bundle: Bundle, tmp_path: Path, serve: Serve) -> None:
    honest = _honest(tiny_bundle)

    def breaks(wanted: Wanted) -> Iterator[Chunk]:
        if wanted.path:
            raise UnavailableError("still broken")
        yield from list(honest(wanted))[:-3]
        raise UnavailableError("the link broke")

    serve(breaks)
    with pytest.raises(UnavailableError, match="still broken"):
        _fetch(tmp_path / "b")
    assert not (tmp_path / "b").exists()
    answers = serve(honest)
    _fetch(tmp_path / "b").verify()
    assert [one.path for one in answers.asked] == [tiny_bundle.manifest.files[-1].path]


def test_another_bundle_meanwhile_begins_anew(
    tiny_bundle: Bundle, deploy: Deploy, tmp_path: Path, serve: Serve
) -> None:
    first, second = _honest(tiny_bundle), _honest(deploy("2"))

    def breaks(wanted: Wanted) -> Iterator[Chunk]:
        yield from list(first(wanted))[:-3]
        raise InternalError("the service failed")

    serve(breaks)
    with pytest.raises(InternalError):
        _fetch(tmp_path / "b")
    answers = serve(second)
    assert _fetch(tmp_path / "b").manifest.version == "2"
    assert [bool(one.fingerprint) for one in answers.asked] == [True, False]


def _lying(bundle: Bundle, **fields: Any) -> Manifest | bytes:
    content = json.loads(bundle.manifest.canonical()) | fields
    return json.dumps(content).encode()


def _file(path: str, size: int = 3) -> dict[str, Any]:
    return {"path": path, "size": size, "sha256": "0" * 64}


@pytest.mark.parametrize(
    "path", ["../evil", "/etc/evil", "a/../../evil", "a\\evil", "a\0b", "", "bundle.json", "./evil", "a//evil"]
)
def test_paths_that_lead_elsewhere_are_refused(tiny_bundle: Bundle, tmp_path: Path, serve: Serve, path: str) -> None:
    files = [*json.loads(tiny_bundle.manifest.canonical())["files"], _file(path)]
    data = json.dumps(json.loads(tiny_bundle.manifest.canonical()) | {"files": files}).encode()
    serve(lambda wanted: iter([Chunk("", 0, data, len(data)), Chunk(path, 0, b"bad", 3)]))
    with pytest.raises(InternalError, match="sends no manifest"):
        _fetch(tmp_path / "in" / "b")
    assert [one for one in tmp_path.rglob("*") if one.is_file()] == []


def _after_manifest(bundle: Bundle, *chunks: Chunk) -> Iterator[Chunk]:
    data = bundle.manifest.canonical()
    yield Chunk("", 0, data, len(data))
    yield from chunks


def test_what_a_hostile_server_sends_is_refused(tiny_bundle: Bundle, tmp_path: Path, serve: Serve) -> None:
    file = tiny_bundle.manifest.files[0]
    good = bytes(file.size)
    manifest = tiny_bundle.manifest.canonical()
    for says, chunks in (
        ("not the one that its manifest lists", [Chunk(file.path, 0, good, file.size)]),
        ("sends more of", [Chunk(file.path, 0, good + b"x", file.size)]),
        ("not 'cuts", [Chunk("other", 0, b"x", 1)]),
        ("from byte 7", [Chunk(file.path, 7, b"x", file.size)]),
        ("not 'cuts", [Chunk(file.path, 0, b"x", file.size + 1)]),
        ("empty chunk", [Chunk(file.path, 0, b"", file.size)]),
    ):
        serve(lambda wanted, chunks=chunks: _after_manifest(tiny_bundle, *chunks))  # type: ignore[misc]
        with pytest.raises(InternalError, match=says):
            _fetch(tmp_path / "b")
    for says, chunks in (
        ("4 MiB", [Chunk("", 0, b"x", 5 << 20)]),
        ("4 MiB", [Chunk("", 0, b"x", 9), Chunk("", 5, b"x", 9)]),
        ("4 MiB", [Chunk("cuts", 0, b"x", 9)]),
        ("more of the manifest", [Chunk("", 0, manifest, 9)]),
        ("no manifest", [Chunk("", 0, b"{}", 2)]),
    ):
        serve(lambda wanted, chunks=chunks: iter(chunks))  # type: ignore[misc]
        with pytest.raises(InternalError, match=says):
            _fetch(tmp_path / "b")
    assert not (tmp_path / "b").exists()


def test_endless_and_damaged_streams_end(tiny_bundle: Bundle, tmp_path: Path, serve: Serve) -> None:
    manifest = tiny_bundle.manifest.canonical()

    def damaged(wanted: Wanted) -> Iterator[pb.BundleChunk]:
        yield pb.BundleChunk(data=manifest, size=len(manifest), crc32=1)

    answers = serve(damaged)
    with pytest.raises(UnavailableError, match="damaged on the way"):
        _fetch(tmp_path / "b")
    assert len(answers.asked) == FEW.attempts
    huge = json.dumps(
        json.loads(manifest) | {"files": [*json.loads(manifest)["files"], _file("huge", 1 << 40)]}
    ).encode()
    serve(lambda wanted: iter([Chunk("", 0, huge, len(huge))]))
    with pytest.raises(InternalError, match="over the limit"):
        _fetch(tmp_path / "b")
    serve(lambda wanted: _after_manifest(tiny_bundle))
    with pytest.raises(UnavailableError, match="before the bundle was complete"):
        _fetch(tmp_path / "b")


def test_another_bundle_than_the_one_wanted(tiny_bundle: Bundle, tmp_path: Path, serve: Serve) -> None:
    serve(lambda wanted: _after_manifest(tiny_bundle))
    for wanted in ({"fingerprint": "0" * 64}, {"version": "7"}):
        with pytest.raises(FingerprintError, match="another bundle"):
            _fetch(tmp_path / "b", **wanted)


def test_where_it_may_be_written(tiny_bundle: Bundle, tmp_path: Path, serve: Serve) -> None:
    serve(_honest(tiny_bundle))
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "mine").touch()
    with pytest.raises(UsageError, match="something else"):
        _fetch(tmp_path / "b")
    (tmp_path / ".c.fetch").mkdir()
    (tmp_path / ".c.fetch").chmod(0o777)
    with pytest.raises(UsageError, match="alone"):
        _fetch(tmp_path / "c")


async def _all(downloads: Downloads, wanted: Wanted, caller: Caller = ANYONE) -> list[Chunk]:
    return [chunk async for chunk in downloads.send(wanted, caller)]


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        (Wanted("x"), UnknownError),
        (Wanted("tiny", fingerprint="0" * 64), FingerprintError),
        (Wanted("tiny", path="../bundle.json"), InvalidRequestError),
        (Wanted("tiny", path="whole.onnx", offset=1 << 40), InvalidRequestError),
        (Wanted("tiny", path="whole.onnx", edge_only=True), InvalidRequestError),
    ],
)
async def test_what_the_service_refuses(tiny_bundle: Bundle, wanted: Wanted, error: type[ServiceError]) -> None:
    with pytest.raises(error):
        await _all(Downloads(InferenceService([tiny_bundle])), wanted)


async def test_permissions_places_and_patience(tiny_bundle: Bundle) -> None:
    downloads = Downloads(InferenceService([tiny_bundle]), most=1, stall=0.05)
    with pytest.raises(PermissionDeniedError):
        await _all(downloads, Wanted("tiny"), Caller("a", "a", Permits(models=("other*",))))

    async def slow_reader() -> None:
        async with aclosing(downloads.send(Wanted("tiny"), ANYONE)) as chunks:
            async for _ in chunks:
                await asyncio.sleep(30)

    slow = asyncio.create_task(slow_reader())
    await asyncio.sleep(0)
    with pytest.raises(OverloadedError) as caught:
        await _all(downloads, Wanted("tiny"))
    assert caught.value.retry_after
    with pytest.raises(asyncio.CancelledError):
        await slow
    assert (await _all(downloads, Wanted("tiny")))[0].path == ""


async def test_a_file_that_changed_on_disk_ends_the_download(deploy: Deploy) -> None:
    bundle = deploy("1")
    downloads = Downloads(InferenceService([bundle]))
    (bundle.path / "whole.onnx").write_bytes(b"short")
    with pytest.raises(UnavailableError, match="no longer what was loaded"):
        await _all(downloads, Wanted("tiny"))


async def test_a_call_cancelled_while_a_file_is_opened_leaves_nothing_open(
    tiny_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, go = threading.Event(), threading.Event()
    opened: list[BinaryIO] = []

    def slowly(path: str) -> BinaryIO:
        reached.set()
        go.wait(10)
        opened.append(tiny_bundle.__class__.open_file(tiny_bundle, path))
        return opened[-1]

    service = InferenceService([tiny_bundle])
    monkeypatch.setattr(service.served.find("tiny").bundle, "open_file", slowly, raising=False)
    call = asyncio.create_task(_all(Downloads(service), Wanted("tiny")))
    await asyncio.to_thread(reached.wait, 10)
    call.cancel()
    await asyncio.wait([call])
    go.set()
    await asyncio.get_running_loop().shutdown_default_executor()
    assert [stream.closed for stream in opened] == [True]
