"""Wrong input at the command line: one clear line, a documented exit code, no traceback."""

from __future__ import annotations

import errno
import json
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from splitnet.bundle import Bundle
from splitnet.cli import main
from splitnet.cli.exit_codes import ExitCode, exit_code
from splitnet.errors import SplitnetError

ROOT = Path(__file__).resolve().parents[2]


def _run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["splitnet", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    assert isinstance(caught.value.code, int)
    return int(caught.value.code)


@pytest.fixture
def fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Iterator[object]:
    """Run the command, check that it fails with one line, return code and line."""

    def run(*arguments: str) -> tuple[int, str]:
        code = _run(monkeypatch, *arguments)
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1, lines
        assert lines[0].startswith("splitnet: ")
        assert "Traceback" not in lines[0]
        return code, lines[0]

    yield run
    # `serve` pointed the logs at a standard error that ends with this test.
    structlog.reset_defaults()


@pytest.fixture
def photo(photos: tuple[Path, ...]) -> str:
    return str(photos[0])


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["edge", "run"], r"Missing option '--server'; see `splitnet edge run --help`"),
        (["edge"], "Missing command"),
        (["bogus"], "No such command 'bogus'"),
        (["serve"], "nothing to serve; give --bundle"),
        (["edge", "run", "--bogus"], "No such option.*--bogus"),
        (["serve", "--bundle", "x", "--workers", "0"], "'--workers'.*0"),
        (["build", "no-such-network", "--cuts", "block7", "--out", "unused"], "no-such-network.*efficientnet-lite0"),
    ],
)
def test_usage(fails: object, arguments: list[str], says: str) -> None:
    assert callable(fails)
    code, line = fails(*arguments)
    assert code == ExitCode.USAGE
    assert re.search(says, line), line


@pytest.mark.parametrize(
    ("options", "code", "says"),
    [
        ({"--server": "nowhere"}, ExitCode.USAGE, "'nowhere' is not HOST:PORT"),
        ({"--server": "127.0.0.1:99999"}, ExitCode.USAGE, "'127.0.0.1:99999' is not HOST:PORT"),
        ({"--server": "127.0.0.1:1"}, ExitCode.SERVICE, "no server answers at 127.0.0.1:1"),
        ({"--cut": "block99"}, ExitCode.USAGE, "no cut 'block99'.*block4, block7, block10"),
        ({"--codec": "affine:bits=8|zip"}, ExitCode.USAGE, "zip"),
        ({"--tasks": "poetry"}, ExitCode.USAGE, "no task 'poetry'.*classification, embedding"),
        ({"--bundle": "no-such-folder"}, ExitCode.BUNDLE, "no-such-folder"),
        ({"--source": "no-such-photo.jpg"}, ExitCode.USAGE, "'no-such-photo.jpg' does not exist"),
        ({"--deadline": "0"}, ExitCode.USAGE, "--deadline"),
    ],
)
def test_edge_run(
    fails: object, lite0_bundle: Bundle, photo: str, options: dict[str, str], code: int, says: str
) -> None:
    assert callable(fails)
    given = {"--server": "local", "--bundle": str(lite0_bundle.path), "--source": photo} | options
    found, line = fails("edge", "run", *(word for pair in given.items() for word in pair))
    assert found == code
    assert re.search(says, line), line


@pytest.mark.parametrize("damage", ["manifest", "edge graph", "missing"])
def test_a_broken_bundle(fails: object, lite0_bundle: Bundle, tmp_path: Path, photo: str, damage: str) -> None:
    assert callable(fails)
    copy = tmp_path / "bundle"
    shutil.copytree(lite0_bundle.path, copy)
    graph = copy / "cuts" / "block7.edge.onnx"
    if damage == "manifest":
        (copy / "bundle.json").write_text("{", encoding="utf-8")
    elif damage == "edge graph":
        data = bytearray(graph.read_bytes())
        data[len(data) // 2] ^= 1
        graph.write_bytes(data)
    else:
        graph.unlink()
    arguments = ("--server", "local", "--bundle", str(copy), "--source", photo, "--codec", "none")
    code, line = fails("edge", "run", *arguments)
    assert code == ExitCode.BUNDLE
    assert str(copy) in line


def test_another_bundle_than_the_servers(
    fails: object, lite0_bundle: Bundle, tmp_path: Path, photo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from splitnet.demo.server import server_process

    assert callable(fails)
    copy = tmp_path / "bundle"
    shutil.copytree(lite0_bundle.path, copy)
    manifest = json.loads((copy / "bundle.json").read_text(encoding="utf-8"))
    manifest["source"] = "elsewhere"
    (copy / "bundle.json").write_text(json.dumps(manifest), encoding="utf-8")
    with server_process(copy, tmp_path / "log") as address:
        code, line = fails("edge", "run", "--server", address, "--bundle", str(lite0_bundle.path), "--source", photo)
    assert code == ExitCode.SERVICE
    assert "deploy the same bundle" in line


def test_a_taken_port(fails: object, lite0_bundle: Bundle) -> None:
    assert callable(fails)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, line = fails("serve", "--bundle", str(lite0_bundle.path), "--listen", address)
    assert code == ExitCode.USAGE
    assert f"cannot listen on {address}" in line


def test_a_configuration(fails: object, lite0_bundle: Bundle, tmp_path: Path) -> None:
    assert callable(fails)
    file = tmp_path / "serve.toml"
    file.write_text("[batching]\n\nworker = 2\n", encoding="utf-8")
    for check in ([], ["--check"]):
        code, line = fails("serve", "--config", str(file), *check)
        assert code == ExitCode.CONFIG
        assert f"{file}: line 3, batching.worker: no such key" in line
    file.write_text(f'bundles = ["{lite0_bundle.path}"]\nlisten = "0.0.0.0:1"\n', encoding="utf-8")
    code, line = fails("serve", "--config", str(file), "--check")
    assert code == ExitCode.USAGE
    assert "0.0.0.0:1 can be reached from elsewhere" in line


def test_a_configuration_in_order_is_summed_up(
    lite0_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "serve.toml"
    file.write_text(f'bundles = ["{lite0_bundle.path}"]\nlisten = "0.0.0.0:1"\n', encoding="utf-8")
    assert _run(monkeypatch, "serve", "--config", str(file), "--check", "--listen", "[::1]:7") == ExitCode.OK
    first, second = capsys.readouterr().out.splitlines()
    assert first == "listen [::1]:7: plain text, everyone is let in"
    assert second.startswith("model efficientnet-lite0")


def test_a_new_token_is_what_its_lines_say(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from splitnet.cloud.access.clients_file import token_hash

    assert _run(monkeypatch, "token", "new", "camera-1") == ExitCode.OK
    text = capsys.readouterr().out
    token = re.search(r"^splitnet_\S+$", text, re.MULTILINE)
    assert token is not None
    assert text.count(token[0]) == 1
    assert f'[[token]]\nname = "camera-1"\nsha256 = "{token_hash(token[0])}"' in text


def test_a_name_that_is_none(fails: object) -> None:
    assert callable(fails)
    assert fails("token", "new", "two words")[0] == ExitCode.USAGE


def test_an_unknown_host_is_one_line_of_ours(lite0_bundle: Bundle) -> None:
    # A process of its own: gRPC's own lines do not pass through Python.
    command = [sys.executable, "-m", "splitnet", "serve", "--bundle", str(lite0_bundle.path)]
    done = subprocess.run(
        [*command, "--insecure", "--listen", "nohost.invalid:5055"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == ExitCode.USAGE
    [line] = done.stderr.splitlines()
    assert "cannot listen on nohost.invalid:5055" in line


def test_a_full_disk(fails: object, lite0_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(fails)

    def full(*arguments: object, **options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "mkdir", full)
    code, line = fails("build", str(lite0_bundle.path / "whole.onnx"), "--cuts", "all", "--out", str(tmp_path / "out"))
    assert code == ExitCode.OUTPUT
    assert "No space left on device" in line
    assert list(tmp_path.iterdir()) == []


def test_an_internal_error_is_one_line_too(fails: object, monkeypatch: pytest.MonkeyPatch) -> None:
    assert callable(fails)

    def broken(directory: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr(Bundle, "load", broken)
    code, line = fails("serve", "--bundle", "x")
    assert code == ExitCode.INTERNAL
    assert "ZeroDivisionError: oops" in line


def test_a_reader_that_goes_away_is_no_traceback(lite0_bundle: Bundle, photos: tuple[Path, ...]) -> None:
    command = f"{sys.executable} -m splitnet edge run --server local --bundle {lite0_bundle.path} --json"
    sources = " ".join(f"--source {photo}" for photo in photos[:4])
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} {sources} | head -n 1"], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert len(done.stdout.splitlines()) == 1


def test_every_error_has_a_documented_exit_code() -> None:
    documented = {
        int(match[1])
        for match in re.finditer(r"^\| (\d+) \|", (ROOT / "docs/cli.md").read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert documented == {int(code) for code in ExitCode}

    def leaves(kind: type[SplitnetError]) -> list[type[SplitnetError]]:
        below = kind.__subclasses__()
        return [leaf for one in below for leaf in leaves(one)] or [kind]

    assert all(exit_code(leaf("x")) is not ExitCode.INTERNAL for leaf in leaves(SplitnetError))
