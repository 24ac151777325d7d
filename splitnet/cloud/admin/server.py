"""The server of `AdminService`: a Unix socket for its owner alone, or TCP with mutual TLS."""

from __future__ import annotations

import contextlib
import os
import socket
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

import grpc
import structlog

from splitnet.cloud.admin.servicer import AdminServicer
from splitnet.cloud.boundary import Boundary
from splitnet.cloud.repository.repository import Repository
from splitnet.errors import UsageError
from splitnet.v1 import admin_pb2_grpc as pb_grpc
from splitnet.wire.channels import parse_address, server_options

MAX_SOCKET_PATH = 107
"""What fits into a `sockaddr_un` with its zero at the end."""

_SMALL = 64 * 1024
log = structlog.get_logger("splitnet.admin")


class AdminServer:
    """Administration of one repository, apart from the port that devices reach.

    Parameters
    ----------
    repository
        What is administrated.
    socket_path
        A Unix socket, made with mode 0600: who may administrate is who may write to it.
    listen, credentials
        HOST:PORT and the server's credentials, which must demand and check a client's certificate. There is no way to
        listen on TCP without them.

    Raises
    ------
    UsageError
        if neither place or no credentials are given, the path is too long, or another service answers there. `start`
        raises it where it cannot listen.
    """

    def __init__(
        self,
        repository: Repository,
        *,
        socket_path: Path | None = None,
        listen: str = "",
        credentials: grpc.ServerCredentials | None = None,
    ) -> None:
        if socket_path is None and not listen:
            raise UsageError("administration needs a Unix socket or, with mutual TLS, HOST:PORT")
        if listen and credentials is None:
            raise UsageError(f"administration on {listen} needs mutual TLS; without it there is only the Unix socket")
        if socket_path is not None and len(os.fsencode(socket_path)) > MAX_SOCKET_PATH:
            raise UsageError(f"{socket_path} is longer than the {MAX_SOCKET_PATH} bytes that a socket's path may have")
        self._repository = repository
        self._socket = socket_path
        self._listen = parse_address(listen, what="admin address") if listen else ""
        self._credentials = credentials
        self.address = listen

    async def start(self) -> None:
        """Listen and answer."""
        if self._socket is not None:
            _clear(self._socket)
        self._server = grpc.aio.server(interceptors=[Boundary()], options=server_options(_SMALL))
        pb_grpc.add_AdminServiceServicer_to_server(AdminServicer(self._repository), self._server)
        try:
            if self._socket is not None:
                self._bind(self._socket)
            if self._credentials is not None and self._listen:
                port = self._server.add_secure_port(self._listen, self._credentials)
                self.address = f"{self._listen.rpartition(':')[0]}:{port}"
        except (RuntimeError, OSError) as error:
            # grpc.aio tears a server down in order only after it has run.
            await self._server.start()
            await self._server.stop(None)
            where = self._socket or self._listen
            raise UsageError(f"cannot listen for administrators on {where}; choose another place") from error
        await self._server.start()
        log.info("administration", socket=str(self._socket or ""), address=self.address)

    async def stop(self) -> None:
        """End calls under way and remove the socket."""
        await self._server.stop(None)
        if self._socket is not None:
            with contextlib.suppress(OSError):
                self._socket.unlink()

    def _bind(self, path: Path) -> None:
        # From its first moment on the socket is its owner's alone.
        before = os.umask(0o177)
        try:
            self._server.add_insecure_port(f"unix:{path}")
        finally:
            os.umask(before)
        path.chmod(0o600)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def _clear(path: Path) -> None:
    """Remove a socket that its process left behind; gRPC would also take one away from a process that lives."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise UsageError(f"{path} exists and is not a socket; choose another path for administration")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            with contextlib.suppress(OSError):
                path.unlink()
            return
    raise UsageError(f"a service answers at {path} already; choose another path for administration")
