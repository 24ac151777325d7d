"""Sockets to listen on: TCP, or a Unix socket that is its owner's alone."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path

from splitnet.errors import UsageError
from splitnet.wire.channels import parse_address


def bind_tcp(listen: str, what: str, backlog: int) -> socket.socket:
    """Listen on HOST:PORT; `what` (an option or a key) is for messages. Raises UsageError."""
    host, _, port = parse_address(listen, what=what).rpartition(":")
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        found = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _refused(listen, what, error) from error
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(where)
        found.listen(backlog)
    except OSError as error:
        found.close()
        raise _refused(listen, what, error) from error
    return found


def bind_unix(path: Path, what: str, backlog: int) -> socket.socket:
    """Listen on a Unix socket, of mode 0600 from its first moment.

    A socket that nobody listens on any more is replaced. Raises UsageError, and leaves what is there, for every other
    file, and where another program listens.
    """
    found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _make_way(path, what)
        # Linux gives the file of the socket this mode; a chmod after it would come too late.
        os.fchmod(found.fileno(), stat.S_IRUSR | stat.S_IWUSR)
        found.bind(str(path))
        found.listen(backlog)
    except OSError as error:
        found.close()
        raise _refused(str(path), what, error) from error
    except UsageError:
        found.close()
        raise
    return found


def inode_of(path: Path) -> tuple[int, int] | None:
    """What tells a file from another that takes its name; None where there is none."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _make_way(path: Path, what: str) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise UsageError(f"cannot listen on {path}: it is there and no socket; choose another {what}")
    with contextlib.closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as caller:
        # A program that listens and is busy would let a caller wait.
        caller.setblocking(False)
        try:
            caller.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except BlockingIOError:
            pass
    raise UsageError(f"cannot listen on {path}: another program does; end it, or choose another {what}")


def _refused(where: str, what: str, error: OSError) -> UsageError:
    return UsageError(f"cannot listen on {where}: {error.strerror or error}; choose another {what}")
