"""The endpoint for programs, over real sockets: who may post what, and what comes back."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import json
import socket
import stat
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from splitnet.edge.capture import http as source_module
from splitnet.edge.capture.http import HttpEndpoint
from splitnet.edge.config.sources import HttpSource
from splitnet.edge.daemon.item import Settled
from splitnet.errors import ConfigError, SourceError, UsageError
from tests.edge.capture.intake import SECONDS, FakeIntake, eventually, recorded, running

Answer = tuple[int, http.client.HTTPMessage, bytes]


def _photo(size: tuple[int, int] = (8, 6)) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", size, "red").save(stream, "png")
    return stream.getvalue()


def _source(kind: Any = "image", **keys: Any) -> HttpEndpoint:
    where = {} if "socket" in keys else {"listen": "127.0.0.1:0"}
    return HttpEndpoint("door", HttpSource.model_validate({"kind": "http", "sink": "s", **where, **keys}), kind)


@contextlib.asynccontextmanager
async def _listening(source: HttpEndpoint, intake: FakeIntake) -> AsyncIterator[str]:
    async with running(source, intake) as task:
        await eventually(lambda: bool(source.address) or task.done())
        if task.done():
            task.result()
        yield source.address


class _UnixConnection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.host)


def _send(address: str, body: Any, method: str, path: str, headers: dict[str, str]) -> Answer:
    if address.startswith("/"):
        connection: http.client.HTTPConnection = _UnixConnection(address, timeout=SECONDS)
    else:
        connection = http.client.HTTPConnection(address, timeout=SECONDS)
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()


async def _post(address: str, body: Any, method: str = "POST", path: str = "/infer", **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await asyncio.to_thread(_send, address, body, method, path, named)


async def test_a_photo_comes_back_as_its_record() -> None:
    intake = FakeIntake(answer=recorded)
    photo = _photo()
    async with _listening(_source(), intake) as address:
        status, headers, body = await _post(address, photo)
    (item,) = intake.items
    assert (status, headers["Content-Type"]) == (200, "application/json")
    assert json.loads(body) == recorded(item).record.as_dict()  # type: ignore[union-attr]  # recorded, so there is one
    assert (item.source, item.photo) == ("door", photo)


async def test_a_unix_socket_is_this_users_alone_and_asks_for_no_host(tmp_path: Path) -> None:
    path = tmp_path / "edge.sock"
    async with _listening(_source(socket=path), FakeIntake(answer=recorded)) as address:
        assert address == str(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert (await _post(address, _photo(), Host="whatever.example"))[0] == 200
    assert not path.exists()


@pytest.mark.parametrize(
    ("settled", "status", "said"),
    [
        (Settled("spooled"), 202, {"spooled": True}),
        (Settled("dropped"), 503, {"error": "it gave way to a newer one; ask again"}),
    ],
)
async def test_what_is_not_answered_is_said(settled: Settled, status: int, said: dict[str, Any]) -> None:
    intake = FakeIntake(answer=lambda _: settled)
    async with _listening(_source(), intake) as address:
        found, headers, body = await _post(address, _photo())
    assert found == status
    assert json.loads(body) == {"id": intake.items[0].id, **said}
    assert (headers["Retry-After"] is not None) == (status == 503)


async def test_a_record_of_a_failure_is_422() -> None:
    async with _listening(_source(), FakeIntake(answer=lambda item: recorded(item, "failed"))) as address:
        status, _, body = await _post(address, _photo())
    assert (status, json.loads(body)["status"]) == (422, "failed")


async def test_a_key_makes_the_same_request_one_input() -> None:
    intake = FakeIntake(answer=recorded)
    async with _listening(_source(), intake) as address:
        assert (await _post(address, _photo(), Idempotency_Key="order 7"))[0] == 200
        status, _, body = await _post(address, _photo(), Idempotency_Key="order 7")
        assert (await _post(address, _photo(), Idempotency_Key="order 8"))[0] == 200
    assert (status, json.loads(body)) == (202, {"id": intake.items[0].id, "known": True})
    assert intake.names == ["order 7", "order 8"]
    again = FakeIntake(known=[item.id for item in intake.items])
    async with _listening(_source(), again) as address:
        assert (await _post(address, _photo(), Idempotency_Key="order 8"))[0] == 202
    assert again.items == []


async def test_a_key_that_waits_for_room_is_known_too() -> None:
    intake = FakeIntake(answer=recorded)
    intake.room.clear()
    async with _listening(_source(drop="all"), intake) as address:
        first = asyncio.create_task(_post(address, _photo(), Idempotency_Key="a"))
        await intake.waiting.wait()
        assert (await _post(address, _photo(), Idempotency_Key="a"))[0] == 202
        intake.room.set()
        assert (await first)[0] == 200
    assert len(intake.items) == 1


async def test_without_a_key_every_request_is_another_input() -> None:
    intake = FakeIntake(answer=recorded)
    async with _listening(_source(), intake) as address:
        await asyncio.gather(*(_post(address, _photo()) for _ in range(5)))
    assert len({item.id for item in intake.items}) == 5


@pytest.mark.parametrize("key", ["", "x" * 129, "caf\u00e9", "tab\there"])
async def test_keys_that_are_none_are_refused(key: str) -> None:
    intake = FakeIntake(answer=recorded)
    async with _listening(_source(), intake) as address:
        assert (await _post(address, _photo(), Idempotency_Key=key))[0] == 400
    assert intake.items == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 403),
        ({"Host": "edge.example"}, 200),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
    ],
)
async def test_pages_of_strangers_post_nothing(headers: dict[str, str], status: int) -> None:
    intake = FakeIntake(answer=recorded)
    async with _listening(_source(hosts=["edge.example"]), intake) as address:
        assert (await _post(address, _photo(), **headers))[0] == status
    assert len(intake.items) == (status == 200)


@pytest.mark.parametrize("unix", [False, True])
async def test_a_token_is_wanted_where_there_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unix: bool
) -> None:
    monkeypatch.setenv("TOKEN", "s3cret")
    where = {"socket": tmp_path / "edge.sock"} if unix else {}
    intake = FakeIntake(answer=recorded)
    async with _listening(_source(token={"env": "TOKEN"}, **where), intake) as address:
        assert (await _post(address, _photo()))[0] == 401
        assert (await _post(address, _photo(), Authorization="Bearer wrong"))[0] == 401
        assert (await _post(address, _photo(), Authorization="Bearer s3cret"))[0] == 200
    assert len(intake.items) == 1


def test_an_address_that_others_reach_needs_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"sources\.door\.listen 0\.0\.0\.0:80 .*token"):
        _source(listen="0.0.0.0:80")
    monkeypatch.delenv("TOKEN", raising=False)
    with pytest.raises(ConfigError, match=r"sources\.door\.token: the environment variable TOKEN"):
        _source(listen="0.0.0.0:80", token={"env": "TOKEN"})


async def test_a_body_that_is_too_large_is_refused_before_it_is_read() -> None:
    intake = FakeIntake(answer=recorded)
    async with _listening(_source(max_bytes=1000), intake) as address:
        host, port = address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=SECONDS) as caller:
            caller.sendall(b"POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1001\r\n\r\n")
            answer = await asyncio.to_thread(caller.recv, 4096)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert (await _post(address, bytes(1001)))[0] == 413
        assert (await _post(address, bytes(30 << 20)))[0] == 413, "who sends it all gets the answer too"
    assert intake.items == []


async def test_a_body_that_does_not_say_its_length_is_bounded_too() -> None:
    intake, photo = FakeIntake(answer=recorded), _photo()
    async with _listening(_source(max_bytes=1000), intake) as address:
        assert (await _post(address, iter([photo[:20], photo[20:]])))[0] == 200
        assert (await _post(address, iter([bytes(600), bytes(600)])))[0] == 413
    assert intake.items[0].photo == photo


async def test_photos_under_way_are_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splitnet.edge.capture.infer.HELD_BYTES", 0)
    photo = _photo()
    intake = FakeIntake(answer=recorded)
    intake.room.clear()
    async with _listening(_source(drop="all", max_bytes=len(photo)), intake) as address:
        first = asyncio.create_task(_post(address, photo))
        await intake.waiting.wait()
        status, headers, _ = await _post(address, photo)
        assert (status, headers["Retry-After"]) == (503, "1")
        intake.room.set()
        assert (await first)[0] == 200
        assert (await _post(address, photo))[0] == 200


def _png_header(width: int, height: int) -> bytes:
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    return start + struct.pack(">I", 1000) + b"IDAT"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (_png_header(60_000, 60_000), 413),
        (_png_header(2_000_000_000, 2_000_000_000), 413),
        (_png_header(101, 100), 413),
        (_png_header(0, 0), 415),
        (_photo()[:20], 415),
        (b"", 415),
        (b"no picture", 415),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 nan\n", 415),
        (b"II*\x00" + b"\xff" * 64, 415),
    ],
)
async def test_hostile_photos_are_refused_by_their_header(body: bytes, status: int) -> None:
    intake = FakeIntake(answer=recorded)
    async with _listening(_source(max_pixels=10_000), intake) as address:
        found, _, said = await _post(address, body)
    assert (found, said.count(b"\n")) == (status, 1)
    assert intake.items == []


async def test_networks_without_images_get_arrays() -> None:
    stream = io.BytesIO()
    np.save(stream, np.zeros((3, 4), np.float32))
    intake = FakeIntake(answer=recorded)
    async with _listening(_source("tensor"), intake) as address:
        assert (await _post(address, stream.getvalue()))[0] == 200
    assert intake.items[0].photo == stream.getvalue()


async def test_other_paths_and_methods_are_refused() -> None:
    intake = FakeIntake(answer=recorded)
    async with _listening(_source(), intake) as address:
        assert (await _post(address, None, "GET"))[0] == 405
        assert (await _post(address, _photo(), "PUT"))[0] == 413
        assert (await _post(address, None, "DELETE"))[0] == 405
        assert (await _post(address, None, "GET", "/elsewhere"))[0] == 404
        assert (await _post(address, _photo(), "POST", "/elsewhere"))[0] == 413
    assert intake.items == []


async def test_an_item_goes_on_when_its_sender_hangs_up() -> None:
    intake = FakeIntake(answer=recorded)
    intake.room.clear()
    photo = _photo()
    async with _listening(_source(), intake) as address:
        host, port = address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=SECONDS) as caller:
            head = f"POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(photo)}\r\n\r\n"
            caller.sendall(head.encode() + photo)
            await intake.waiting.wait()
        intake.room.set()
        await intake.until(1)
        assert (await _post(address, photo))[0] == 200


async def test_who_waits_too_long_hears_so_and_the_item_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splitnet.edge.capture.infer.ANSWER_SECONDS", 0.0)
    intake = FakeIntake(answer=recorded)
    intake.room.clear()
    async with _listening(_source(drop="all", deadline=0.05), intake) as address:
        status, _, said = await _post(address, _photo(), Idempotency_Key="a")
        assert (status, b"within 0.05 s" in said) == (504, True)
        await intake.waiting.wait()
        intake.room.set()
        await intake.until(1)
    assert intake.names == ["a"]


async def test_a_sender_that_hangs_up_halfway_sends_nothing() -> None:
    intake = FakeIntake(answer=recorded)
    async with _listening(_source(), intake) as address:
        host, port = address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=SECONDS) as caller:
            caller.sendall(b"POST /infer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf")
        assert (await _post(address, _photo()))[0] == 200
    assert len(intake.items) == 1


async def test_who_waits_when_the_source_ends_may_still_get_the_answer() -> None:
    intake = FakeIntake()
    async with _listening(_source(), intake) as address:
        waiting = asyncio.create_task(_post(address, _photo()))
        await intake.until(1)
        asyncio.get_running_loop().call_later(0.1, lambda: intake.items[0].settle(recorded(intake.items[0])))
    assert (await waiting)[0] == 200


async def test_who_waits_too_long_when_the_source_ends_hears_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source_module, "LAST_SECONDS", 0.01)
    intake, full = FakeIntake(), FakeIntake()
    full.room.clear()
    for one in (intake, full):
        async with _listening(_source(drop="all"), one) as address:
            waiting = asyncio.create_task(_post(address, _photo()))
            await one.waiting.wait()
        status, headers, body = await waiting
        assert (status, headers["Retry-After"]) == (503, "1")
        assert "ask again" in json.loads(body)["error"]
    assert len(intake.items) == 1
    # An answer that comes after all is nobody's.
    intake.items[0].settle(Settled("spooled"))
    assert full.items == []


async def test_an_address_that_is_taken_is_said_and_may_come_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        source = _source(listen=f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(SourceError, match=r"cannot listen on 127\.0\.0\.1:\d+: .*sources\.door\.listen"):
            await source.run(FakeIntake())
    async with _listening(source, FakeIntake(answer=recorded)) as address:
        assert (await _post(address, _photo()))[0] == 200
