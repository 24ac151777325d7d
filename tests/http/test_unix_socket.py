"""A server on a Unix socket: whose it is, and what it may take the place of."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest
from starlette.applications import Starlette

from splitnet.errors import UsageError
from splitnet.http.server import PageServer


def _serve(path: Path) -> PageServer:
    return PageServer(Starlette(), path, what="the socket")


def _status(path: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as caller:
        caller.settimeout(10)
        caller.connect(str(path))
        caller.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return caller.recv(4096)[:12]


def _stale(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
    return path


def test_it_answers_is_its_owners_alone_and_goes_when_it_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "edge.sock"
    with _serve(path) as server:
        assert server.address == str(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert _status(path) == b"HTTP/1.1 404"
    assert not path.exists()


def test_a_socket_that_a_crash_left_is_replaced(tmp_path: Path) -> None:
    path = _stale(tmp_path / "edge.sock")
    with _serve(path):
        assert _status(path) == b"HTTP/1.1 404"


def test_a_socket_that_somebody_listens_on_is_left(tmp_path: Path) -> None:
    path = tmp_path / "edge.sock"
    with _serve(path):
        with pytest.raises(UsageError, match="another program does"):
            _serve(path)
        assert _status(path) == b"HTTP/1.1 404"


def test_a_socket_of_a_program_too_busy_to_accept_is_left(tmp_path: Path) -> None:
    path = tmp_path / "edge.sock"
    callers = []
    with socket.socket(socket.AF_UNIX) as busy:
        busy.bind(str(path))
        busy.listen(0)
        for _ in range(3):
            callers.append(socket.socket(socket.AF_UNIX))
            callers[-1].setblocking(False)
            try:
                callers[-1].connect(str(path))
            except BlockingIOError:
                break
        with pytest.raises(UsageError, match="another program does"):
            _serve(path)
        assert path.is_socket()
        for one in callers:
            one.close()


@pytest.mark.parametrize("kind", ["file", "folder", "link", "link to a socket"])
def test_nothing_but_a_socket_is_ever_removed(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "edge.sock"
    if kind == "file":
        path.write_text("precious")
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(_stale(tmp_path / "other.sock") if kind == "link to a socket" else "nowhere")
    before = path.lstat()
    with pytest.raises(UsageError, match="is there and no socket; choose another the socket"):
        _serve(path)
    assert path.lstat() == before


def test_what_took_the_name_meanwhile_is_left(tmp_path: Path) -> None:
    path = tmp_path / "edge.sock"
    server = _serve(path)
    path.unlink()
    path.write_text("precious")
    server.close()
    assert path.read_text() == "precious"


@pytest.mark.parametrize("name", ["x" * 200, "no/such/folder"])
def test_a_path_that_no_socket_can_have_is_said(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot listen on"):
        _serve(tmp_path / name)
