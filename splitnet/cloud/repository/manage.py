"""All that keeps the served models up to date, started and ended in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import grpc

from splitnet.cloud.admin import AdminServer
from splitnet.cloud.repository.repository import Repository
from splitnet.cloud.repository.watch import Watcher
from splitnet.cloud.service import InferenceService


@asynccontextmanager
async def manage(
    service: InferenceService,
    folder: Path | None = None,
    *,
    watch: bool = False,
    admin_socket: Path | None = None,
    admin_listen: str = "",
    admin_credentials: grpc.ServerCredentials | None = None,
) -> AsyncIterator[Repository]:
    """Load the folder's models, then administrate and watch them while the block runs.

    `admin_credentials` must demand a client's certificate: there is no administration on TCP without.

    Raises
    ------
    UsageError
        if there is no such folder, or administrators cannot be listened for.
    """
    repository = Repository(service, folder)
    await repository.start()
    async with AsyncExitStack() as stack:
        if admin_socket is not None or admin_listen:
            await stack.enter_async_context(
                AdminServer(repository, socket_path=admin_socket, listen=admin_listen, credentials=admin_credentials)
            )
        watching = asyncio.create_task(Watcher(repository).run()) if watch else None
        try:
            yield repository
        finally:
            if watching is not None:
                watching.cancel()
                with suppress(asyncio.CancelledError):
                    await watching
