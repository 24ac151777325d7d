"""Configurations of the daemon: what is wrong is said in one line, with key and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from splitnet.edge.config.loading import load_config
from splitnet.edge.config.schema import EdgeConfig
from splitnet.edge.config.sinks import SqliteSink
from splitnet.edge.config.sources import FolderSource
from splitnet.errors import ConfigError

GOOD = """state = "state"
[models.tiny]
bundle = "bundle"
[sources.door]
kind = "folder"
path = "in"
sink = "out"
[sinks.out]
kind = "sqlite"
path = "out.sqlite"
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "edge.toml"


def read(path: Path, text: str) -> EdgeConfig:
    path.write_text(text)
    return load_config(path)


def test_paths_start_from_the_files_folder_and_defaults_promise_what_folders_should(path: Path) -> None:
    config = read(path, GOOD)
    source, sink = config.sources["door"], config.sinks["out"]
    assert isinstance(source, FolderSource)
    assert isinstance(sink, SqliteSink)
    assert (source.path, sink.path, config.state) == (
        path.parent / "in", path.parent / "out.sqlite", path.parent / "state",
    )  # fmt: skip
    assert (source.drop, source.fallback, config.servers, config.page) == ("all", ("local", "spool"), (), None)


def test_every_kind_of_source_and_sink(path: Path) -> None:
    text = (
        GOOD
        + """
[sources.camera]
kind = "video"
url = "rtsp://user@camera/stream"
password = { env = "CAMERA" }
sink = "log"
rate = 2.5
deadline = 0.5
[sources.lines]
kind = "stdin"
sink = "hook"
[sources.local]
kind = "http"
socket = "infer.sock"
sink = "files"
[sinks.log]
kind = "jsonl"
path = "log.jsonl"
[sinks.files]
kind = "folder"
path = "files"
[sinks.hook]
kind = "webhook"
url = "https://example.org/hook"
token = { file = "token" }
[sinks.broker]
kind = "mqtt"
server = "broker:8883"
topic = "splitnet/door"
tls = true
"""
    )
    config = read(path, text)
    assert [one.kind for one in config.sources.values()] == ["folder", "video", "stdin", "http"]
    assert [one.drop for one in config.sources.values()] == ["all", "latest", "all", "latest"]
    assert len(config.sinks) == 5


def change(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", r"line 1, state: is missing; line 1, models: is missing; line 1, sources: is missing"),
        ("state = ", "line 1: invalid value"),
        (change('state = "state"\n', ""), "line 1, state: is missing"),
        (change('kind = "folder"\n', ""), r"line 4, sources\.door: unable to extract tag"),
        (change('kind = "folder"', 'kind = "carrier pigeon"'), r"line 4, sources\.door: .*carrier pigeon.*'folder'"),
        (change('kind = "sqlite"', 'kind = "drain"'), r"line 8, sinks\.out: .*drain"),
        (change('path = "in"\n', ""), r"line 4, sources\.door\.path: is missing"),
        (change('sink = "out"', 'sink = "drain"'), r"line 7, sources\.door\.sink: no sink 'drain'; there are out"),
        (change('sink = "out"\n', ""), r"line 4, sources\.door\.sink: is missing"),
        (change("[models.tiny]", "[models.'a b']"), r"models\.a b"),
        (change('bundle = "bundle"', "bundle = 3"), r"line 3, models\.tiny\.bundle: .*\(given: 3\)"),
        (
            GOOD + "[sources.x]\nkind='folder'\npath='p'\nsink='out'\nmodel='big'",
            r"line 15, sources\.x\.model: no model",
        ),
        (GOOD + "[models.other]\nbundle='b'", r"line 4, sources\.door: say which model: tiny, other"),
        (GOOD + "[page]\nlisten = 'here'", r"line 12, page\.listen: the address 'here' is not HOST:PORT"),
        (GOOD + "[page]\ntoken = 'hunter2'", r"line 12, page\.token: a secret does not belong in this file"),
        (GOOD + "[link]\nin_flight = 0", r"line 12, link\.in_flight: .*greater than or equal to 1 \(given: 0\)"),
        (GOOD + "[link]\nspeed = 3", r"line 12, link\.speed: no such key; see docs/edge-daemon\.md"),
        (GOOD + "[spool]\nmax_bytes = 10", r"line 12, spool\.max_bytes: "),
        (GOOD + "[spool]\nmax_age = 0", r"line 12, spool\.max_age: .*greater than 0"),
        (GOOD + "[[servers]]\naddress = 'x'", r"line 12, servers\.0\.address: the address 'x' is not HOST:PORT"),
        (
            GOOD + "[[servers]]\naddress='a:1'\n[[servers]]\naddress='a:1'",
            r"line 14, servers\.1\.address: a:1 is there",
        ),
        (GOOD + "[[servers]]\ntls = true", r"line 11, servers\.0\.address: is missing"),
        (change('sink = "out"', 'sink = "out"\nrate = 0'), r"line 8, sources\.door\.rate: .*greater than 0"),
        (change('sink = "out"', 'sink = "out"\ndeadline = -1'), r"line 8, sources\.door\.deadline: "),
        (change('sink = "out"', 'sink = "out"\npriority = 4'), r"line 8, sources\.door\.priority: .*\(given: 4\)"),
        (change('sink = "out"', 'sink = "out"\ndrop = "some"'), r"line 8, sources\.door\.drop: .*'latest' or 'all'"),
        (change('sink = "out"', 'sink = "out"\nskip = 0.1'), r"sources\.door: skip does not go with drop = 'all'"),
        (change('sink = "out"', 'sink = "out"\nafter = "move"'), r"sources\.door: after = 'move' needs moved_to"),
        (change('sink = "out"', 'sink = "out"\nfallback = ["pray"]'), r"line 8, sources\.door\.fallback\.0: "),
        (change('sink = "out"', 'sink = "out"\nmin_agreement = 2'), r"line 8, sources\.door\.min_agreement: "),
        (GOOD + "[sources.a]\nkind='http'\nsink='out'", r"line 11, sources\.a: give either socket or listen"),
        (
            GOOD + "[sources.a]\nkind='stdin'\nsink='out'\n[sources.b]\nkind='stdin'\nsink='out'",
            r"sources\.b: standard",
        ),
        (GOOD + "[sinks.b]\nkind='folder'\npath='out.sqlite'", r"line 13, sinks\.b\.path: .*of the sink 'out' already"),
        (GOOD + "[sinks.b]\nkind='webhook'\nurl='ftp://x'", r"line 13, sinks\.b\.url: "),
        (GOOD + "[sinks.b]\nkind='mqtt'\nserver='b:1'\ntopic='a/#'", r"line 14, sinks\.b\.topic: "),
        (GOOD + "[models.p]\nbundle='b'\nedge_profile='e'", r"line 11, models\.p: a plan needs both profiles"),
        (
            GOOD + "[models.p]\nbundle='b'\nedge_profile='e'\ncloud_profile='c'\ncut='r1'",
            r"models\.p: cut and codec are",
        ),
        (GOOD + "[logging]\nlevel = 'loud'", r"line 12, logging\.level: "),
    ],
)
def test_errors_name_key_and_line(path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        read(path, text)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert "hunter2" not in message


def test_every_key_is_documented() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/edge-daemon.md").read_text(encoding="utf-8")
    schema = EdgeConfig.model_json_schema()
    told_elsewhere = ("Secret", "Logging", "Tracing")
    tables = [("", schema), *((name, one) for name, one in schema["$defs"].items() if name not in told_elsewhere)]
    for table, keys in tables:
        for key in keys["properties"]:
            assert f"| `{key}` |" in page or f"## `[{key}" in page or f"## `[[{key}" in page, (table, key)
