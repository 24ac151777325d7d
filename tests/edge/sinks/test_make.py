"""Sinks of a configuration: the right one, with its secrets, or a message that names the table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from splitnet.edge.config.sinks import AnySink
from splitnet.edge.sinks.make import make_sink
from splitnet.errors import ConfigError, UsageError
from tests.edge.sinks.records import make_records


def _section(folder: Path = Path("/"), **values: Any) -> AnySink:
    section: AnySink = TypeAdapter(AnySink).validate_python(values, context={"folder": folder})
    return section


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ({"kind": "jsonl", "path": "x"}, "JsonLines"),
        ({"kind": "folder", "path": "x"}, "Folder"),
        ({"kind": "sqlite", "path": "x"}, "Sqlite"),
        ({"kind": "webhook", "url": "https://example.com/"}, "Webhook"),
    ],
)
def test_each_kind_has_its_sink_and_nothing_is_opened(tmp_path: Path, values: dict[str, str], kind: str) -> None:
    sink = make_sink("s", _section(tmp_path, **values))
    assert type(sink).__name__ == kind
    sink.close()
    assert list(tmp_path.iterdir()) == []


def test_mqtt_has_its_sink() -> None:
    pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed; pip install 'splitnet[mqtt]'")
    sink = make_sink("s", _section(kind="mqtt", server="127.0.0.1:1883", topic="t"))
    assert type(sink).__name__ == "Mqtt"
    sink.close()


def test_paths_start_from_the_configurations_folder(tmp_path: Path) -> None:
    sink = make_sink("s", _section(tmp_path, kind="jsonl", path="records.jsonl"))
    sink.write(make_records(1))
    sink.close()
    assert (tmp_path / "records.jsonl").exists()


def test_a_dash_is_standard_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    make_sink("s", _section(tmp_path, kind="jsonl", path="-")).write(make_records(1))
    assert capfd.readouterr().out == make_records(1)[0].line() + "\n"


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"kind": "webhook", "url": "https://example.com/", "token": {"env": "NOT_SET"}}, "token"),
        ({"kind": "mqtt", "server": "h:1", "topic": "t", "tls": True, "password": {"env": "NOT_SET"}}, "password"),
    ],
)
def test_a_secret_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], key: str) -> None:
    if key == "password":
        pytest.importorskip("paho.mqtt.client", reason="paho-mqtt is not installed; pip install 'splitnet[mqtt]'")
    monkeypatch.delenv("NOT_SET", raising=False)
    with pytest.raises(ConfigError, match=rf"sinks\.door\.{key}: the environment variable NOT_SET is empty or not set"):
        make_sink("door", _section(**values))


def test_a_secret_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOOR_TOKEN", "two words")
    with pytest.raises(UsageError, match=r"^sinks\.door: the token is not one line"):
        make_sink("door", _section(kind="webhook", url="https://example.com/", token={"env": "DOOR_TOKEN"}))


def test_what_cannot_be_used_is_named() -> None:
    with pytest.raises(UsageError, match=r"^sinks\.door: records would travel to http://example\.com in plain text"):
        make_sink("door", _section(kind="webhook", url="http://example.com"))


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "splitnet.edge.sinks.mqtt", raising=False)
    monkeypatch.setitem(sys.modules, "paho.mqtt.client", None)
    with pytest.raises(UsageError, match=r"^sinks\.door: this needs paho.*: pip install 'splitnet\[mqtt\]'$"):
        make_sink("door", _section(kind="mqtt", server="h:1", topic="t"))


def test_only_what_is_used_is_imported() -> None:
    code = "import sys, splitnet.edge.sinks.make\nprint([one for one in ('sqlite3', 'paho') if one in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
