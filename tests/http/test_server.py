"""How long a connection lasts."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from splitnet.http.server import PageServer

SHORT = 0.05


@pytest.fixture(autouse=True)
def short_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splitnet.http.server.CONNECTION_SECONDS", SHORT)


async def _slow(request: Request) -> Response:
    await request.body()
    await asyncio.sleep(10 * SHORT)
    return PlainTextResponse("at last")


@contextlib.contextmanager
def _calling(answer_seconds: float | None) -> Iterator[socket.socket]:
    app = Starlette(routes=[Route("/", _slow, methods=["POST"])])
    with PageServer(app, "127.0.0.1:0", answer_seconds=answer_seconds) as server:
        host, port = server.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=30) as caller:
            yield caller


def _all(caller: socket.socket) -> bytes:
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while data := caller.recv(4096):
            found += data
    return found


def test_an_answer_may_take_as_long_as_it_is_given_and_is_the_last_one() -> None:
    with _calling(answer_seconds=60.0) as caller:
        caller.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n.")
        assert _all(caller).endswith(b"at last")


def test_an_answer_that_takes_too_long_is_cut_off() -> None:
    with _calling(answer_seconds=None) as caller:
        caller.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n.")
        assert _all(caller) == b""


def test_a_body_that_does_not_come_is_not_waited_for_so_long() -> None:
    with _calling(answer_seconds=600.0) as caller:
        caller.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n.")
        assert _all(caller) == b""
