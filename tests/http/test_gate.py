"""Bodies that the gate lets through, beside what the pages' tests say about it."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from splitnet.http.gate import Gate
from splitnet.http.server import PageServer


async def _length(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


@pytest.fixture(scope="module")
def server() -> Iterator[PageServer]:
    app = Starlette(routes=[Route(path, _length, methods=["GET", "POST"]) for path in ("/in", "/other")])
    with PageServer(Gate(app, bodies={"/in": 10}), "127.0.0.1:0") as running:
        yield running


def _ask(connection: http.client.HTTPConnection, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    connection.request(method, path, body)
    answer = connection.getresponse()
    return answer.status, answer.read()


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/in", b"", 200),
        ("POST", "/in", bytes(10), 200),
        ("POST", "/in", bytes(11), 413),
        ("POST", "/in", [bytes(5), bytes(5)], 200),
        ("POST", "/in", [bytes(5), bytes(6)], 413),
        ("GET", "/in", None, 200),
        ("GET", "/in", bytes(1), 413),
        ("PUT", "/in", None, 405),
        ("POST", "/other", bytes(1), 413),
        ("POST", "/other", None, 405),
    ],
)
def test_only_some_paths_take_bodies_and_only_short_ones(
    server: PageServer, method: str, path: str, body: Any, status: int
) -> None:
    connection = http.client.HTTPConnection(server.address, timeout=10)
    try:
        assert _ask(connection, method, path, iter(body) if isinstance(body, list) else body)[0] == status
    finally:
        connection.close()


def test_a_connection_is_used_again_after_a_body_that_was_too_large(server: PageServer) -> None:
    connection = http.client.HTTPConnection(server.address, timeout=10)
    try:
        assert _ask(connection, "POST", "/in", bytes(1 << 20))[0] == 413
        assert _ask(connection, "POST", "/in", bytes(3)) == (200, b"3")
    finally:
        connection.close()
