"""The pages over real sockets: what they say, and to whom."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from splitnet.edge.observe.pages import pages
from splitnet.edge.observe.tally import EdgeTally
from splitnet.http.server import PageServer
from tests.edge.observe.seeded import SERVERS, Clock, configured, record, seeded

HOSTILE = "<script>alert(1)</script>\u202e\x00"


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def tally(clock: Clock) -> EdgeTally:
    found = seeded(clock)
    found.recorded(record(HOSTILE, "failed", name=HOSTILE, error=HOSTILE))
    clock.now += 1
    return found


@pytest.fixture(scope="module")
def ready() -> list[bool]:
    return [True]


@pytest.fixture(scope="module")
def server(tally: EdgeTally, ready: list[bool]) -> Iterator[PageServer]:
    with PageServer(pages(tally, lambda: ready[-1], hosts=("device.example",)), "127.0.0.1:0") as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tally: EdgeTally) -> Iterator[PageServer]:
    with PageServer(pages(tally, lambda: True, token="s3cret"), "127.0.0.1:0") as running:
        yield running


def _get(server: PageServer, path: str, method: str = "GET", **headers: str) -> tuple[int, Any, bytes]:
    connection = http.client.HTTPConnection(server.address, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


class Metrics:
    """What /metrics says."""

    def __init__(self, server: PageServer) -> None:
        text = _get(server, "/metrics")[2].decode()
        self.samples = [one for family in text_string_to_metric_families(text) for one in family.samples]

    def value(self, name: str, **labels: str) -> float:
        (found,) = [one.value for one in self.samples if one.name == f"splitnet_edge_{name}" and one.labels == labels]
        return float(found)


def test_metrics_are_those_counted(server: PageServer, tally: EdgeTally) -> None:
    found = Metrics(server)
    door = tally.sources["door"]
    assert found.value("captured_total", source="door") == 3600
    assert found.value("records_total", source="door", status="local") == door.recorded["local"] > 0
    assert found.value("records_total", source="inbox", status="failed") == 1
    assert found.value("dropped_total", source="door", reason="newer") == 600
    assert found.value("spooled_total", source="inbox") == 13
    assert found.value("frame_bytes_total", source="door") == door.frame_bytes
    assert found.value("jpeg_bytes_total", source="door") == door.jpeg_bytes
    assert found.value("latency_seconds_count", source="door") == door.latency.count
    assert found.value("queue", source="inbox") == 3
    assert found.value("spool_entries") == 37
    assert found.value("spool_oldest_seconds") == 521
    assert found.value("sink_waiting", sink="hook") == 41
    assert found.value("sink_failing", sink="hook") == 1
    assert found.value("written_total", sink="answers") == 3600
    assert found.value("link_up", server=SERVERS[0]) == 0
    assert found.value("link_up", server=SERVERS[1]) == 1
    assert 5e6 < found.value("link_bandwidth_bits_per_second", server=SERVERS[1]) < 7e6
    assert found.value("mode", source="lite0", mode="split", cut="block7", codec="transform:step=1.5|rans") == 1
    assert found.value("plan_changes_total", source="lite0") == 3
    assert found.value("temperature_celsius") == 54.3
    assert found.value("ready") == 1
    assert found.value("uptime_seconds") == 900


def test_labels_are_names_of_the_configuration_alone(server: PageServer) -> None:
    labels = [one.labels for one in Metrics(server).samples if one.name.startswith("splitnet_edge_")]
    # Plans are told by what the daemon calls them: here, as in the example, by models.
    assert {one["source"] for one in labels if "source" in one} == {"door", "inbox", "other", "lite0", "faces"}
    assert {one["server"] for one in labels if "server" in one} <= set(SERVERS)
    assert not any("script" in value or "frame 7" in value for one in labels for value in one.values())


def test_what_is_not_known_is_not_measured() -> None:
    with PageServer(pages(configured(Clock()), lambda: False), "127.0.0.1:0") as fresh:
        names = {one.name for one in Metrics(fresh).samples}
        assert Metrics(fresh).value("ready") == 0
        assert json.loads(_get(fresh, "/status.json")[2])["daemon"]["ready"] is False
    assert "splitnet_edge_captured_total" in names
    assert not names & {"splitnet_edge_temperature_celsius", "splitnet_edge_load", "splitnet_edge_link_rtt_seconds"}


def test_readiness_follows_the_daemon(server: PageServer, ready: list[bool]) -> None:
    assert _get(server, "/live")[::2] == (200, b"live\n")
    assert _get(server, "/ready")[::2] == (200, b"ready\n")
    ready.append(False)
    try:
        assert _get(server, "/ready")[::2] == (503, b"not ready\n")
        assert _get(server, "/live")[0] == 200
    finally:
        ready.pop()


def test_status_has_hostile_texts_as_data_alone(server: PageServer) -> None:
    status, headers, body = _get(server, "/status.json")
    assert (status, headers["Content-Type"]) == (200, "application/json")
    texts = [one["text"] for one in json.loads(body)["errors"]]
    assert any("alert(1)" in one for one in texts)
    assert all(one.isprintable() for one in texts)


def test_the_history_is_answered_from_where_the_asker_is(server: PageServer, clock: Clock) -> None:
    def length(query: str) -> int:
        return len(json.loads(_get(server, f"/status.json{query}")[2])["history"]["columns"]["cloud"])

    last = int(clock.now) - 1
    assert length(f"?after={last - 4}") == 4
    assert length(f"?after={last}") == 0
    assert {length(query) for query in ("", "?after=", "?after=-1", "?after=x", f"?after={'9' * 400}")} == {900}


def test_the_page_may_run_its_own_script_and_style_alone(server: PageServer) -> None:
    _, headers, body = _get(server, "/")
    policy, text = headers["Content-Security-Policy"], body.decode()
    for tag in ("script", "style"):
        (found,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(found.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    # Nothing from elsewhere, and nothing that the policy would keep from working.
    assert not re.search(r"(src|href)=\"(?!data:|/)", text)
    assert not re.search(r"\s(style|on\w+)=", text)
    assert "default-src 'none'" in _get(server, "/status.json")[1]["Content-Security-Policy"]


def test_strangers_and_other_methods_are_refused(server: PageServer) -> None:
    assert _get(server, "/status.json", Host="evil.example")[0] == 403
    assert _get(server, "/status.json", Host="device.example")[0] == 200
    assert _get(server, "/status.json", Origin="http://evil.example")[0] == 403
    assert _get(server, "/metrics", "POST")[0] in (405, 413)


def test_a_token_is_wanted_where_there_is_one(guarded: PageServer) -> None:
    for path in ("/metrics", "/status.json", "/status.json?after=1"):
        assert _get(guarded, path)[0] == 401
        assert _get(guarded, path, Authorization="Bearer wrong")[0] == 401
        assert _get(guarded, path, Authorization="Bearer s3cret")[0] == 200
    for path in ("/", "/live", "/ready"):
        assert _get(guarded, path)[0] == 200
