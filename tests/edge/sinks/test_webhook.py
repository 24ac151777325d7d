"""POST requests to a real server that does whatever servers do."""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from splitnet.edge.sinks.webhook import Webhook
from splitnet.errors import OutputError, UsageError
from tests.cloud.certificates import Authority
from tests.edge.sinks.endpoint import PATIENCE, Answer, Endpoint
from tests.edge.sinks.records import ids, make_record, make_records


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint() as made:
        yield made


@pytest.fixture
def sink(endpoint: Endpoint) -> Iterator[Webhook]:
    made = Webhook(endpoint.url, timeout=PATIENCE)
    yield made
    made.close()


def _received(endpoint: Endpoint) -> list[str]:
    return [json.loads(body)["id"] for _, _, body in endpoint.received]


def test_a_record_is_a_request_and_the_connection_is_kept(endpoint: Endpoint) -> None:
    sink = Webhook(f"{endpoint.url}?key=a%20b#part", token="s3cret")
    assert list(sink.resume("")) == []
    sink.write(make_records(1, 2))
    sink.write(make_records(3))
    sink.close()
    for (path, headers, body), record in zip(endpoint.received, make_records(1, 2, 3), strict=True):
        assert path == "/hook?key=a%20b"
        assert headers["Content-Type"] == "application/json"
        assert headers["Idempotency-Key"] == record.id
        assert headers["Authorization"] == "Bearer s3cret"
        assert json.loads(body) == record.as_dict()
    assert endpoint.connections == 1
    assert sink.mark == ""


def test_without_a_token_nothing_is_claimed(endpoint: Endpoint, sink: Webhook) -> None:
    sink.write(make_records(1))
    assert endpoint.received[0][1]["Authorization"] is None


@pytest.mark.parametrize("headers", [{}, {"Connection": "close"}])
def test_a_connection_that_the_server_closes_between_records_is_made_anew(
    endpoint: Endpoint, sink: Webhook, headers: dict[str, str]
) -> None:
    endpoint.answers.append(Answer(200, b"fine", headers, then="close"))
    sink.write(make_records(1))
    if (connection := sink._connection.sock) is not None:
        assert select.select([connection], [], [], PATIENCE)[0]
    sink.write(make_records(2))
    assert _received(endpoint) == ids(1, 2)
    assert endpoint.connections == 2


def test_a_server_that_hangs_up_is_an_error_and_asked_again(endpoint: Endpoint, sink: Webhook) -> None:
    endpoint.answers.append(Answer(then="without"))
    with pytest.raises(OutputError, match=f"^cannot post to {endpoint.url}: Remote end closed connection"):
        sink.write(make_records(1))
    sink.write(make_records(1))
    assert _received(endpoint) == ids(1, 1)


def test_a_failure_is_an_error_and_the_next_write_connects_anew(endpoint: Endpoint, sink: Webhook) -> None:
    endpoint.answers.append(Answer(500, b"database is away\n\x1b[2J\xff try later " + b"x" * 500))
    with pytest.raises(OutputError) as caught:
        sink.write(make_records(1))
    said = "database is away [2J\N{REPLACEMENT CHARACTER} try later xxx"
    assert str(caught.value).startswith(f"{endpoint.url} answered 500: {said}")
    assert len(str(caught.value)) == len(f"{endpoint.url} answered 500: ") + 200
    assert str(caught.value).isprintable()
    sink.write(make_records(1))
    assert endpoint.connections == 2


def test_records_before_the_one_that_fails_have_arrived(endpoint: Endpoint, sink: Webhook) -> None:
    endpoint.answers.extend([Answer(200), Answer(201, b"made"), Answer(422)])
    with pytest.raises(OutputError, match=r"answered 422: no text$"):
        sink.write(make_records(1, 2, 3, 4))
    sink.write(make_records(3, 4))
    assert _received(endpoint) == ids(1, 2, 3, 3, 4)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_not_followed(endpoint: Endpoint, sink: Webhook, status: int) -> None:
    endpoint.answers.append(Answer(status, b"there", {"Location": endpoint.url}))
    with pytest.raises(OutputError, match=f"answered {status}: there; redirects are not followed"):
        sink.write(make_records(1))
    assert len(endpoint.received) == 1


@pytest.mark.parametrize("then", ["silent", "dripping"])
def test_a_server_that_takes_too_long_is_given_up(endpoint: Endpoint, then: str) -> None:
    sink = Webhook(endpoint.url, timeout=0.3)
    endpoint.answers.append(Answer(then=then))  # type: ignore[arg-type]  # a literal out of a parameter
    with pytest.raises(OutputError, match=f"^cannot post to {endpoint.url}: no answer within 0.3 s$"):
        sink.write(make_records(1))
    assert then == "silent" or endpoint.left.wait(PATIENCE)
    sink.close()


def test_a_long_answer_is_not_read_to_its_end(endpoint: Endpoint, sink: Webhook) -> None:
    endpoint.answers.append(Answer(200, b"x" * (1 << 16), then="stuck"))
    sink.write(make_records(1, 2))
    assert _received(endpoint) == ids(1, 2)
    assert endpoint.connections == 2


def test_a_server_that_is_not_there_is_an_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        sink = Webhook(f"http://127.0.0.1:{taken.getsockname()[1]}/hook")
        with pytest.raises(OutputError, match="Connection refused"):
            sink.write(make_records(1))
    sink.close()


def test_what_speaks_something_else_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def greet() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                connection.sendall(b"220 mail.example ESMTP\x1b\r\n")

        server = threading.Thread(target=greet)
        server.start()
        sink = Webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/")
        with pytest.raises(OutputError, match=r"220 mail\.example") as caught:
            sink.write(make_records(1))
        server.join()
    assert str(caught.value).isprintable()
    sink.close()


def test_no_secret_is_in_an_error(endpoint: Endpoint) -> None:
    sink = Webhook(f"{endpoint.url}?key=hidden", token="s3cret")
    endpoint.answers.append(Answer(403, b"Bearer s3cret may not"))
    with pytest.raises(OutputError, match=rf"^{endpoint.url} answered 403: Bearer \*\*\* may not$"):
        sink.write(make_records(1))
    endpoint.answers.append(Answer(then="without"))
    with pytest.raises(OutputError, match=f"^cannot post to {endpoint.url}: "):
        sink.write(make_records(1))
    sink.close()


def test_a_name_that_is_no_text_comes_back(endpoint: Endpoint, sink: Webhook) -> None:
    sink.write([make_record(1, name="\udcff.jpg")])
    assert json.loads(endpoint.received[0][2])["name"] == "\udcff.jpg"


def test_a_server_of_the_authority_is_trusted_and_others_are_not(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "stranger")
    with Endpoint(host="localhost", certificate=authority.server()) as endpoint:
        trusting = Webhook(endpoint.url, token="s3cret", ca=authority.certificate)
        trusting.write(make_records(1, 2))
        trusting.close()
        for ca in (stranger.certificate, None):
            careful = Webhook(endpoint.url, token="s3cret", ca=ca)
            with pytest.raises(OutputError, match="certificate verify failed"):
                careful.write(make_records(3))
            careful.close()
    assert _received(endpoint) == ids(1, 2)


def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    pair = authority.issue("server", names=("elsewhere.example",))
    with Endpoint(host="localhost", certificate=pair) as endpoint:
        sink = Webhook(endpoint.url, ca=authority.certificate)
        with pytest.raises(OutputError, match="Hostname mismatch"):
            sink.write(make_records(1))
        sink.close()
    assert endpoint.received == []


def test_a_tls_server_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with Endpoint(host="localhost", certificate=authority.server()) as endpoint:
        endpoint.answers.append(Answer(then="dripping"))
        sink = Webhook(endpoint.url, ca=authority.certificate, timeout=0.5)
        with pytest.raises(OutputError, match=r"no answer within 0\.5 s"):
            sink.write(make_records(1))
        sink.close()


@pytest.mark.parametrize(
    ("url", "token", "problem"),
    [
        ("http://example.com/hook", "", "records would travel to http://example.com/hook in plain text"),
        ("http://example.com/hook?key=x", "t", "records and the token would travel to http://example.com/hook in"),
        ("http://127.0.0.1.example.com/", "", "plain text"),
        ("http://127.0.0.1@example.com/", "", "does not belong into the url"),
        ("https://user:hidden@example.com/", "", "does not belong into the url"),
        ("https://example.com:port/", "", "the url cannot be used"),
        ("https://example.com:0/", "", "the url cannot be used"),
        ("https://:443/", "", "the url cannot be used"),
        ("https://a..b/", "", "the url cannot be used"),
        ("https://[::1/", "", "the url cannot be used"),
        ("https://example.com/a b", "", "the url cannot be used"),
        ("https://example.com/\r\nX: y", "", "the url cannot be used"),
        ("https://example.com/ü", "", "the url cannot be used"),
        ("ftp://example.com/", "", "the url cannot be used"),
        ("https://example.com/", "two words", "the token is not one line"),
        ("https://example.com/", "two\r\nlines", "the token is not one line"),
        ("https://example.com/", "größe", "the token is not one line"),
    ],
)
def test_what_cannot_be_used_is_refused_at_once(url: str, token: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        Webhook(url, token=token)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("text", [None, b"no certificate"])
def test_an_authority_that_cannot_be_read_is_refused(tmp_path: Path, text: bytes | None) -> None:
    ca = tmp_path / "ca.pem"
    if text is not None:
        ca.write_bytes(text)
    with pytest.raises(UsageError, match=r"ca\.pem (cannot be read: No such file|holds no certificate)"):
        Webhook("https://example.com/", ca=ca)


def test_loopback_may_have_other_names(endpoint: Endpoint) -> None:
    sink = Webhook(f"http://localhost:{endpoint.port}", token="t")
    sink.write(make_records(1))
    sink.close()
    assert endpoint.received[0][0] == "/"
    for url, port in (("http://[::1]", 80), ("https://[::1]/", 443), ("http://[::1]:7/", 7)):
        sink = Webhook(url)
        assert (sink._connection.host, sink._connection.port) == ("::1", port)
        sink.close()
