"""`splitnet edge daemon` and `splitnet edge status` as a device's owner meets them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Self

import pytest

from splitnet.bundle import Bundle
from tests.edge.daemon.rig import PATIENCE, Rig

COMMAND = [sys.executable, "-m", "splitnet", "edge"]


@pytest.fixture
def rig(tiny_bundle: Bundle, tmp_path: Path) -> Rig:
    return Rig(tmp_path, tiny_bundle, source={"once": False})


class ServiceManager:
    """Reads what a daemon tells its service manager, all the time, as systemd does."""

    def __init__(self, path: Path) -> None:
        self.path, self.heard = path, list[str]()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read)

    def wait_for(self, message: str, times: int) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: self.heard.count(message) >= times, PATIENCE), self.heard

    def _read(self) -> None:
        while message := self._socket.recv(4096):
            with self._changed:
                self.heard.append(message.decode())
                self._changed.notify_all()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self.path))
        self._thread.join()
        self._socket.close()


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_check_says_what_would_run_and_begins_nothing(rig: Rig) -> None:
    done = call("daemon", "--check", "--config", str(rig.write()))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"model tiny: tiny {rig.bundle.fingerprint[:12]}",
        "source door: folder, scores, vector, all on the edge (no server is configured) -> out",
        "no server: everything on the device",
    ]
    assert not (rig.folder / "state").exists()
    assert not (rig.folder / "out.sqlite").exists()


def test_a_wrong_configuration_is_one_line_and_exit_code_8(rig: Rig) -> None:
    rig.source["rate"] = 0
    done = call("daemon", "--config", str(rig.write()))
    assert (done.returncode, done.stdout) == (8, "")
    assert len(done.stderr.splitlines()) == 1
    assert "sources.door.rate: " in done.stderr


def test_status_without_a_daemon_is_exit_code_3(rig: Rig) -> None:
    done = call("status", "--config", str(rig.write()))
    assert done.returncode == 3
    assert done.stderr.startswith("splitnet: no daemon answers at ")


def test_a_daemon_says_that_it_is_ready_shows_itself_and_ends_in_order(rig: Rig) -> None:
    rig.photos(2)
    config = str(rig.write())
    with ServiceManager(rig.folder / "notify") as manager:
        environment = os.environ | {"NOTIFY_SOCKET": str(manager.path), "WATCHDOG_USEC": "100000"}
        command = [*COMMAND, "daemon", "--config", config]
        daemon = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        try:
            manager.wait_for("WATCHDOG=1", 3)
            while len(rig.records()) < 2:
                time.sleep(0.01)
            shown = json.loads(call("status", "--json", "--config", config).stdout)
            table = call("status", "--config", config)
            daemon.send_signal(signal.SIGTERM)
            _, log = daemon.communicate(timeout=PATIENCE)
        finally:
            daemon.kill()
        manager.wait_for("STOPPING=1", 1)
    assert daemon.returncode == 0, log
    assert manager.heard.count("READY=1\nSTATUS=1 sources, 0 servers") == 1
    assert shown["daemon"]["ready"] is True
    assert [one["name"] for one in shown["sources"]] == ["door"]
    assert table.returncode == 0, table.stderr
    assert "door" in table.stdout
    assert "edge" in table.stdout
    assert any(json.loads(line)["event"] == "running" for line in log.splitlines())


def test_the_daemon_needs_no_torch_and_no_video(rig: Rig) -> None:
    program = (
        "import sys\nfrom splitnet.cli import main\n"
        f"sys.argv = ['splitnet', 'edge', 'daemon', '--check', '--config', {str(rig.write())!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print(sorted({'torch', 'onnx', 'av', 'paho', 'matplotlib'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
