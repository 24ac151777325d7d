"""The pages over real sockets: what they say, and to whom."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from splitnet.cloud.observe.observer import Observers
from splitnet.cloud.observe.pages import pages
from splitnet.cloud.observe.tally import Tally
from splitnet.cloud.observe.watch import PageSettings, Watch
from splitnet.cloud.service import InferenceService
from splitnet.errors import OverloadedError, UsageError
from splitnet.http.server import PageServer
from tests.cloud.observe.jobs import CALLER, Clock, job, request, response


@pytest.fixture(scope="module")
def tally() -> Tally:
    return Tally(Clock())


@pytest.fixture(scope="module")
def ready() -> list[bool]:
    return [True]


@pytest.fixture(scope="module")
def server(tally: Tally, ready: list[bool]) -> Iterator[PageServer]:
    service = InferenceService(observer=Observers([tally]))
    with PageServer(pages(service, tally, lambda: ready[-1], hosts=("metrics.example",)), "127.0.0.1:0") as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tally: Tally) -> Iterator[PageServer]:
    service = InferenceService(observer=tally)
    with PageServer(pages(service, tally, lambda: True, token="s3cret"), "127.0.0.1:0") as running:
        yield running


def _get(
    server: PageServer, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, http.client.HTTPMessage, bytes]:
    connection = http.client.HTTPConnection(server.address, timeout=10)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def _metrics(server: PageServer) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = _get(server, "/metrics")[2].decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_metrics_are_those_counted(server: PageServer, tally: Tally) -> None:
    tally.answered(job(), response())
    tally.batch([job(), job()], 0.01)
    tally.refused(OverloadedError("full", reason="queue"), CALLER, request(model="made-up"))
    found = _metrics(server)
    cut = (("cut", "block7"), ("model", "lite0"), ("version", "1"))
    assert found["splitnet_requests_total", tuple(sorted((*cut, ("code", "OK"))))] == 1
    assert found["splitnet_rejections_total", (("code", "RESOURCE_EXHAUSTED"), ("reason", "queue"))] == 1
    assert found["splitnet_stage_seconds_sum", tuple(sorted((*cut, ("stage", "graph"))))] == 0.002
    assert found["splitnet_batch_size_count", cut] == 1
    assert found["splitnet_queue_seconds_bucket", tuple(sorted((*cut, ("le", "0.001"))))] == 1
    assert found["splitnet_ready", ()] == 1
    assert found["process_resident_memory_bytes", ()] > 0
    assert not any("made-up" in str(labels) or "camera" in str(labels) for _, labels in found)


def test_readiness_follows_the_service(server: PageServer, ready: list[bool]) -> None:
    assert _get(server, "/live")[::2] == (200, b"live\n")
    assert _get(server, "/ready")[::2] == (200, b"ready\n")
    ready.append(False)
    try:
        assert _get(server, "/ready")[0] == 503
        assert _get(server, "/live")[0] == 200
    finally:
        ready.pop()


def test_status_has_hostile_names_as_data_alone(server: PageServer, tally: Tally) -> None:
    name = "<script>alert(1)</script>\u202e\x00" + "x" * 500
    tally.answered(job(client=name), response())
    tally.refused(OverloadedError(name), CALLER, request(model=name, cut=name))
    status, headers, body = _get(server, "/status.json")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    found: dict[str, Any] = json.loads(body)
    assert all(one["name"].isprintable() and len(one["name"]) <= 40 for one in found["clients"])
    assert all(one["message"].isprintable() and len(one["message"]) <= 300 for one in found["errors"])
    assert found["service"]["ready"]


def test_every_answer_has_the_headers_that_keep_a_browser_in_its_place(server: PageServer) -> None:
    for path in ("/", "/metrics", "/status.json", "/nowhere"):
        headers = _get(server, path)[1]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"
    assert "unsafe" not in _get(server, "/")[1]["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:9000", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:80", 200),
        ("metrics.example", 200),
        ("evil.example", 403),
        ("127.0.0.1.evil.example", 403),
        ("localhost.evil.example:80", 403),
        ("[::1", 403),
        ("", 403),
    ],
)
def test_a_name_that_was_made_to_point_here_is_refused(server: PageServer, host: str, status: int) -> None:
    assert _get(server, "/status.json", Host=host)[0] == status


def test_pages_of_other_origins_read_nothing(server: PageServer) -> None:
    assert _get(server, "/status.json", Origin="http://evil.example")[0] == 403
    assert _get(server, "/status.json", Origin="null")[0] == 403
    assert _get(server, "/status.json", Origin=f"http://{server.address}")[0] == 200


def test_bodies_and_other_methods_are_refused(server: PageServer) -> None:
    assert _get(server, "/metrics", "POST")[0] == 405
    assert _get(server, "/metrics", "DELETE")[0] == 405
    assert _get(server, "/metrics", "GET", b"x" * 100)[0] == 413
    assert _get(server, "/metrics", "GET", None, Transfer_Encoding="chunked")[0] == 413


def test_a_token_is_wanted_where_there_is_one(guarded: PageServer) -> None:
    for path in ("/metrics", "/status.json", "/nowhere"):
        assert _get(guarded, path)[0] == 401
        assert _get(guarded, path, Authorization="Bearer wrong")[0] == 401
        assert _get(guarded, path, Authorization="Basic s3cret")[0] == 401
        assert _get(guarded, path, Authorization="Bearer s3cret")[0] in (200, 404)
    for path in ("/", "/live", "/ready"):
        assert _get(guarded, path)[0] == 200


def test_bytes_that_are_no_http_and_large_headers_hurt_nobody(server: PageServer) -> None:
    host, port = server.address.rsplit(":", 1)
    for data in (bytes(range(256)) * 4, b"GET / HTTP/1.1\r\nX: " + b"a" * 100_000):
        with socket.create_connection((host, int(port)), timeout=10) as stranger:
            stranger.sendall(data)
            assert not stranger.recv(4096).startswith(b"HTTP/1.1 2")
    assert _get(server, "/live")[0] == 200


def test_who_says_nothing_is_hung_up_on(tally: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splitnet.http.server.CONNECTION_SECONDS", 0.05)
    with PageServer(pages(InferenceService(), tally, lambda: True), "127.0.0.1:0") as server:
        host, port = server.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10) as silent:
            silent.sendall(b"GET / HT")
            assert silent.recv(1) == b""


def test_a_taken_port_and_an_open_one_without_token_are_clear_errors(server: PageServer) -> None:
    with pytest.raises(UsageError, match=r"cannot listen on .*--metrics"):
        Watch(PageSettings(server.address)).open(InferenceService(), lambda: True)
    with pytest.raises(UsageError, match="SPLITNET_METRICS_TOKEN"):
        Watch(PageSettings("0.0.0.0:0"))
    with pytest.raises(UsageError, match="is not HOST:PORT"):
        Watch(PageSettings("127.0.0.1")).open(InferenceService(), lambda: True)
