"""MQTT messages: acknowledged, or an error; against a server that does as it is told, and against Mosquitto."""

from __future__ import annotations

import json
import select
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from splitnet.errors import OutputError, UsageError
from tests.cloud.certificates import Authority
from tests.edge.sinks.broker import Broker
from tests.edge.sinks.endpoint import PATIENCE
from tests.edge.sinks.records import ids, make_record, make_records

paho = pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed; pip install 'splitnet[mqtt]'")
from splitnet.edge.sinks.mqtt import Mqtt  # noqa: E402 - needs the package

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
PASSWORDS = shutil.which("mosquitto_passwd")
needs_mosquitto = pytest.mark.skipif(
    MOSQUITTO is None or PASSWORDS is None, reason="Mosquitto is not installed; apt-get install mosquitto"
)


def _sink(broker: Broker, timeout: float = PATIENCE) -> Mqtt:
    return Mqtt(broker.address, "splitnet/door", timeout=timeout)


def _received(broker: Broker) -> list[str]:
    return [json.loads(payload)["id"] for _, payload in broker.messages]


def test_a_record_is_a_message_and_the_connection_is_kept() -> None:
    with Broker() as broker:
        sink = _sink(broker)
        assert list(sink.resume("")) == []
        sink.write(make_records(1, 2))
        sink.write(make_records(3))
        sink.close()
    assert [topic for topic, _ in broker.messages] == ["splitnet/door"] * 3
    assert [json.loads(payload) for _, payload in broker.messages] == [one.as_dict() for one in make_records(1, 2, 3)]
    assert broker.connections == 1
    assert sink.mark == ""


def test_a_batch_may_be_larger_than_what_is_under_way_at_once() -> None:
    with Broker() as broker:
        sink = _sink(broker)
        sink.write(make_records(*range(200)))
        sink.close()
    assert _received(broker) == ids(*range(200))


@pytest.mark.parametrize(("receive_maximum", "sent"), [(0, 20), (3, 3), (60_000, 20)])
def test_no_more_is_under_way_than_the_server_takes(receive_maximum: int, sent: int) -> None:
    with Broker(receive_maximum=receive_maximum) as broker:
        broker.behaviours.extend(["ignore"] * 30)
        sink = _sink(broker)
        with ThreadPoolExecutor() as threads:
            writing = threads.submit(sink.write, make_records(*range(30)))
            end = time.monotonic() + PATIENCE
            while len(broker.messages) < sent and time.monotonic() < end:
                time.sleep(0.001)
            broker.end_connection(politely=False)
            with pytest.raises(OutputError, match="connection was lost"):
                writing.result()
    assert _received(broker) == ids(*range(sent))


def test_a_message_that_is_not_acknowledged_comes_again() -> None:
    with Broker() as broker:
        sink = _sink(broker, 0.3)
        broker.behaviours.extend(["take", "ignore"])
        with pytest.raises(OutputError, match=f"^cannot publish to {broker.address}: no acknowledgement within 0.3 s$"):
            sink.write(make_records(1, 2))
        sink._timeout = PATIENCE
        sink.write(make_records(1, 2))
        sink.close()
    assert _received(broker)[-2:] == ids(1, 2)
    assert broker.connections == 2


def test_a_message_that_the_server_refuses_is_an_error() -> None:
    with Broker() as broker:
        sink = _sink(broker)
        broker.behaviours.extend(["take", "refuse"])
        with pytest.raises(OutputError, match="the server refuses a message: Not authorized"):
            sink.write(make_records(1, 2))
        sink.write(make_records(2))
        sink.close()
    assert _received(broker) == ids(1, 2, 2)


@pytest.mark.parametrize(
    ("behaviour", "problem"),
    [("leave", "connection was lost"), ("say goodbye", "the server ended the connection: Quota"), ("rubbish", "")],
)
def test_a_server_that_goes_away_or_mad_is_an_error_and_connected_to_again(behaviour: Any, problem: str) -> None:
    with Broker() as broker:
        sink = _sink(broker)
        sink.write(make_records(1))
        broker.behaviours.append(behaviour)
        with pytest.raises(OutputError, match=f"^cannot publish to {broker.address}: .*{problem}"):
            sink.write(make_records(2))
        sink.write(make_records(2))
        sink.close()
    assert _received(broker) == ids(1, 2, 2)


@pytest.mark.parametrize("politely", [False, True])
def test_a_server_that_went_away_between_batches_is_connected_to_again(politely: bool) -> None:
    with Broker() as broker:
        sink = _sink(broker)
        sink.write(make_records(1))
        assert sink._client is not None
        quiet = sink._client.socket()
        assert quiet is not None
        broker.end_connection(politely=politely)
        assert select.select([quiet], [], [], PATIENCE)[0]
        sink.write(make_records(2))
        sink.close()
    assert _received(broker) == ids(1, 2)
    assert broker.connections == 2


def test_a_server_that_refuses_the_connection_is_an_error() -> None:
    with Broker(connack=0x86) as broker:
        sink = _sink(broker)
        for _ in range(2):
            with pytest.raises(OutputError, match="the server refuses the connection: Bad user name or password"):
                sink.write(make_records(1))
    assert broker.messages == []


def test_a_server_that_is_not_there_or_says_nothing_is_an_error() -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        sink = Mqtt(f"127.0.0.1:{listener.getsockname()[1]}", "t", timeout=0.2)
        with pytest.raises(OutputError, match="Connection refused"):
            sink.write(make_records(1))
        listener.listen()
        with pytest.raises(OutputError, match=r"no acknowledgement within 0\.2 s"):
            sink.write(make_records(1))


def test_what_cannot_be_used_is_refused_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a password would travel to broker\.example:1883 in plain text"):
        Mqtt("broker.example:1883", "t", user="me", password="secret")
    with pytest.raises(UsageError, match=r"ca\.pem cannot be read"):
        Mqtt("broker.example:8883", "t", ca=tmp_path / "ca.pem")
    Mqtt("broker.example:8883", "t", user="me", password="secret", tls=True)
    Mqtt("[::1]:1883", "t", user="me", password="secret")


@contextmanager
def _mosquitto(folder: Path, lines: str) -> Iterator[str]:
    """A real server; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\nuser root\n{lines}", encoding="utf-8")
    assert MOSQUITTO is not None
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen([MOSQUITTO, "-c", str(config)], stdout=log, stderr=log)
    try:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                assert server.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < end
                time.sleep(0.01)
        yield f"127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(PATIENCE)


@contextmanager
def _subscribed(address: str) -> Iterator[list[Any]]:
    """What is published on every topic while inside; it ends when `last` is."""
    got: list[Any] = []
    ready, last = threading.Event(), threading.Event()
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.on_subscribe = lambda *_: ready.set()
    client.on_message = lambda _, __, message: last.set() if message.topic == "last" else got.append(message)
    client.connect("127.0.0.1", int(address.rpartition(":")[2]))
    client.subscribe("#", qos=1)
    client.loop_start()
    try:
        assert ready.wait(PATIENCE)
        yield got
        client.publish("last", qos=1)
        assert last.wait(PATIENCE)
    finally:
        client.disconnect()
        client.loop_stop()


@needs_mosquitto
def test_mosquitto_passes_messages_on_with_their_ids(tmp_path: Path) -> None:
    with _mosquitto(tmp_path, "allow_anonymous true\nmax_inflight_messages 5\n") as address:
        sink = Mqtt(address, "splitnet/door", timeout=PATIENCE)
        with _subscribed(address) as got:
            sink.write(make_records(*range(40)))
        sink.close()
    assert [json.loads(one.payload) for one in got] == [one.as_dict() for one in make_records(*range(40))]
    assert [one.properties.UserProperty for one in got] == [[("id", one)] for one in ids(*range(40))]
    assert {(one.topic, one.properties.ContentType) for one in got} == {("splitnet/door", "application/json")}


@needs_mosquitto
def test_mosquitto_that_starts_again_is_connected_to_again(tmp_path: Path) -> None:
    with _mosquitto(tmp_path, "allow_anonymous true\n") as address:
        sink = Mqtt(address, "door", timeout=PATIENCE)
        sink.write(make_records(1))
    with pytest.raises(OutputError):
        sink.write(make_records(2))
    lines = f"allow_anonymous true\nlistener {address.rpartition(':')[2]} 127.0.0.1\n"
    with _mosquitto(tmp_path, lines) as other, _subscribed(other) as got:
        sink.write([make_record(2)])
        sink.close()
    assert [json.loads(one.payload)["id"] for one in got] == ids(2)


@needs_mosquitto
def test_mosquitto_with_tls_and_a_password(tmp_path: Path) -> None:
    assert PASSWORDS is not None
    authority = Authority(tmp_path)
    pair = authority.server()
    passwords = tmp_path / "passwords"
    passwords.touch()
    subprocess.run([PASSWORDS, "-b", str(passwords), "door", "right"], check=True, capture_output=True)
    lines = f"certfile {pair.certificate}\nkeyfile {pair.key}\npassword_file {passwords}\nallow_anonymous false\n"
    with _mosquitto(tmp_path, lines) as address:
        sink = Mqtt(address, "t", user="door", password="right", ca=authority.certificate, timeout=PATIENCE)
        sink.write(make_records(1, 2))
        sink.write(make_records(3))
        sink.close()
        wrong = Mqtt(address, "t", user="door", password="wrong", ca=authority.certificate, timeout=PATIENCE)
        with pytest.raises(OutputError, match="the server refuses the connection: Not authorized"):
            wrong.write(make_records(1))


@needs_mosquitto
# The library leaves the socket of a handshake that failed to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket:pytest.PytestUnraisableExceptionWarning")
def test_mosquitto_with_a_certificate_of_nobody_is_not_trusted(tmp_path: Path) -> None:
    pair = Authority(tmp_path).server()
    lines = f"certfile {pair.certificate}\nkeyfile {pair.key}\nallow_anonymous true\n"
    with _mosquitto(tmp_path, lines) as address:
        doubtful = Mqtt(address, "t", tls=True, timeout=PATIENCE)
        with pytest.raises(OutputError, match="certificate verify failed"):
            doubtful.write(make_records(1))
