"""What systemd hears, on a real socket."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from splitnet.edge.observe.notify import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """The service manager's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(10)
        yield listening


def _heard(manager: socket.socket) -> list[str]:
    return manager.recv(4096).decode().split("\n")


@pytest.mark.parametrize(
    ("call", "fields"),
    [
        (lambda one: one.ready(), ["READY=1"]),
        (lambda one: one.ready("2 sources"), ["READY=1", "STATUS=2 sources"]),
        (lambda one: one.status("läuft"), ["STATUS=läuft"]),
        (lambda one: one.watchdog(), ["WATCHDOG=1"]),
        (lambda one: one.stopping(), ["STOPPING=1"]),
    ],
)
def test_messages(manager: socket.socket, call: Callable[[Notifier], None], fields: list[str]) -> None:
    call(Notifier(manager.getsockname()))
    assert _heard(manager) == fields


def test_a_reload_says_when_it_began(manager: socket.socket) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    Notifier(manager.getsockname()).reloading()
    first, second = _heard(manager)
    assert first == "RELOADING=1"
    assert before <= int(second.removeprefix("MONOTONIC_USEC=")) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_a_status_cannot_smuggle_other_fields(manager: socket.socket) -> None:
    Notifier(manager.getsockname()).status("camera\nSTOPPING=1\r\nMAINPID=1\udc80")
    assert _heard(manager) == ["STATUS=camera STOPPING=1 MAINPID=1?"]


def test_abstract_sockets(tmp_path: Path) -> None:
    name = f"splitnet-test-{os.getpid()}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(f"\0{name}")
        listening.settimeout(10)
        Notifier(f"@{name}").ready()
        assert _heard(listening) == ["READY=1"]


def test_children_do_not_inherit_the_variables(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    notifier = Notifier.from_environment()
    assert notifier.interval == 15.0
    notifier.ready()
    assert _heard(manager) == ["READY=1"]
    code = "import os; print(sorted(set(os.environ) & {'NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID'}))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"[]\n"


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({"WATCHDOG_USEC": "1000000"}, 0.5),
        ({"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_when_the_watchdog_waits(environment: dict[str, str], interval: float | None) -> None:
    assert Notifier.from_environment({"NOTIFY_SOCKET": "/run/notify", **environment}).interval == interval
    # Nobody can be told, so nobody waits.
    assert Notifier.from_environment(environment).interval is None


@pytest.mark.parametrize(
    "address", ["", "notify", "vsock:2:9000", "/nowhere/notify", "@splitnet-nobody", "/" + "x" * 500]
)
def test_nothing_happens_where_nobody_listens(address: str) -> None:
    notifier = Notifier(address, 1.0)
    for call in (notifier.ready, notifier.watchdog, notifier.reloading, notifier.stopping):
        call()
    notifier.status("fine")


def test_a_manager_that_does_not_read_holds_nobody_up(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other,
        contextlib.suppress(BlockingIOError),
    ):
        other.setblocking(False)
        while True:
            other.sendto(b"x", manager.getsockname())
    monkeypatch.setattr("splitnet.edge.observe.notify.SEND_SECONDS", 0.01)
    notifier = Notifier(manager.getsockname())
    notifier.watchdog()
    manager.setblocking(False)
    heard = set()
    with contextlib.suppress(BlockingIOError):
        while True:
            heard.add(manager.recv(16))
    assert heard == {b"x"}
    notifier.ready()
    assert _heard(manager) == ["READY=1"]
