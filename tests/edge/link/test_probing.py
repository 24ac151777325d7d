"""Round trips over real sockets, and connections that are closed meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from splitnet.bundle import Bundle
from splitnet.edge.grpc_aio_transport import AsyncGrpcTransport
from splitnet.errors import UnavailableError
from splitnet.wire.credentials import Credentials
from tests.edge.daemon.rig import serving


@pytest.mark.parametrize("payload", [0, 1, 127, 128, 20_000])
async def test_a_probe_of_any_size_is_answered(tiny_bundle: Bundle, payload: int) -> None:
    async with serving(tiny_bundle) as server:
        transport = AsyncGrpcTransport(server.address)
        assert 0 < await transport.probe(10.0, payload) < 10
        await transport.aclose()


@asynccontextmanager
async def silent() -> AsyncIterator[tuple[AsyncGrpcTransport, asyncio.Event]]:
    """A transport to something that takes connections and says nothing; the event says that it has one."""
    held: list[asyncio.StreamWriter] = []
    reached = asyncio.Event()

    def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        held.append(writer)
        reached.set()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as listener:
        host, port = listener.sockets[0].getsockname()
        transport = AsyncGrpcTransport(f"{host}:{port}")
        yield transport, reached
        await transport.aclose()
        for writer in held:
            writer.close()


async def test_a_probe_that_hangs_while_its_connection_is_closed_says_so() -> None:
    """Not a cancellation, which would end the task that looks after servers."""
    async with silent() as (transport, reached):
        probing = asyncio.create_task(transport.probe(20.0))
        describing = asyncio.create_task(transport.describe("tiny", timeout=20.0))
        await reached.wait()
        await transport.aclose()
        for task in (probing, describing):
            with pytest.raises(UnavailableError):
                await task


async def test_a_task_that_is_cancelled_is_cancelled() -> None:
    async with silent() as (transport, reached):
        probing = asyncio.create_task(transport.probe(20.0))
        await reached.wait()
        probing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await probing


async def test_a_token_that_is_being_replaced_is_a_passing_failure(tiny_bundle: Bundle, tmp_path: Path) -> None:
    async with serving(tiny_bundle) as server:
        transport = AsyncGrpcTransport(server.address, Credentials(token_file=tmp_path / "token"))
        with pytest.raises(UnavailableError, match="token cannot be read"):
            await transport.probe(5.0)
        (tmp_path / "token").write_text("secret")
        await transport.probe(5.0)
        await transport.aclose()
