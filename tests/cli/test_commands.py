"""The commands as a user runs them: processes and a real socket."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from splitnet.bundle import Bundle
from splitnet.cli.exit_codes import ExitCode
from splitnet.demo.server import server_process
from splitnet.errors import UnavailableError


@pytest.fixture(scope="module")
def address(lite0_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with server_process(lite0_bundle.path, tmp_path_factory.mktemp("server") / "server.log") as running:
        yield running


def _edge(bundle: Bundle, address: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "splitnet", "edge", "run", "--server", address, "--bundle", str(bundle.path)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False, timeout=60)


def test_json_lines(lite0_bundle: Bundle, address: str, photos: tuple[Path, ...]) -> None:
    sources = [word for photo in photos[:3] for word in ("--source", str(photo))]
    codec = ["--codec", "affine:bits=8|zstd"]
    done = _edge(
        lite0_bundle, address, *sources, *codec, "--json", "--trace", "--tasks", "classification", "--top-k", "2"
    )
    assert done.returncode == ExitCode.OK, done.stderr
    *lines, last = [json.loads(line) for line in done.stdout.splitlines()]
    assert sorted(line["photo"] for line in lines) == sorted(str(photo) for photo in photos[:3])
    for line in lines:
        assert list(line["results"]) == ["classification"]
        assert len(line["results"]["classification"]["top"]) == 2
        assert 10_000 < line["frame_bytes"] < 16_000
    assert last["median_ms"]["overhead"] > 0


def test_a_photo_that_cannot_be_read_is_reported_and_skipped(
    lite0_bundle: Bundle, address: str, photos: tuple[Path, ...], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(photos[0].read_bytes()[:2000])
    arguments = ("--source", str(tmp_path), "--source", str(photos[1]))
    done = _edge(lite0_bundle, address, *arguments, "--json")
    assert done.returncode == ExitCode.SOME_FAILED
    lines = {Path(line["photo"]).name: line for line in map(json.loads, done.stdout.splitlines())}
    assert lines["broken.jpg"]["error"]["type"] == "ImageError"
    assert lines[photos[1].name]["results"]["classification"]["top"][0]["index"] == 559
    table = _edge(lite0_bundle, address, *arguments)
    assert table.returncode == ExitCode.SOME_FAILED
    assert "folding chair" in table.stdout
    assert "1 answered, 1 without an answer" in table.stdout


def test_table_with_trace(lite0_bundle: Bundle, address: str, photos: tuple[Path, ...]) -> None:
    done = _edge(lite0_bundle, address, "--source", str(photos[0]), "--trace", "--cut", "block4", "--codec", "none|raw")
    assert done.returncode == ExitCode.OK, done.stderr
    for words in ("bull mastiff", "125,4", "edge graph", "overhead"):
        assert words in done.stdout


def test_sigterm_stops_the_server_cleanly(lite0_bundle: Bundle) -> None:
    command = [sys.executable, "-m", "splitnet", "serve", "--bundle", str(lite0_bundle.path), "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("serving on 127.0.0.1:")
    started = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=20)
    assert process.returncode == ExitCode.OK
    assert time.monotonic() - started < 15
    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert events == ["serving", "draining", "stopped"]


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    with (
        pytest.raises(UnavailableError, match="nothing-here"),
        server_process(tmp_path / "nothing-here", tmp_path / "server.log"),
    ):
        pytest.fail("it started")
