"""Clients that mean no good, each a coroutine that goes on until it is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import grpc

from featcodec.testing import hostile_frames
from splitnet.v1 import inference_pb2 as pb
from splitnet.v1 import inference_pb2_grpc as pb_grpc
from splitnet.wire.credentials import Credentials

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""What an HTTP/2 client says first, and an empty SETTINGS frame."""

IDLE = 1000
OVERSIZED_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Target:
    """Where to, a request in order, and the credentials of a client that is let in and of those that are not."""

    address: str
    good: pb.InferRequest
    credentials: Credentials
    refused: tuple[Credentials, ...]


Misdeed = Callable[[Target], Coroutine[Any, Any, None]]


@contextlib.asynccontextmanager
async def _stub(target: Target, credentials: Credentials) -> AsyncIterator[Any]:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
    tls: Any = credentials.tls(target.address)
    async with grpc.aio.secure_channel(target.address, tls, options=options) as channel:
        yield pb_grpc.InferenceServiceStub(channel)


async def malformed_frames(target: Target) -> None:
    """Every frame of the codec's hostile corpus, one after the other, again and again."""
    metadata = target.credentials.metadata()
    async with _stub(target, target.credentials) as stub:
        while True:
            for _, frame in hostile_frames():
                request = pb.InferRequest()
                request.CopyFrom(target.good)
                request.frame = frame
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await stub.Infer(request, timeout=30, metadata=metadata)


async def half_open_streams(target: Target) -> None:
    """Streams that are opened, say nothing, and are dropped without a word."""
    metadata = target.credentials.metadata()
    while True:
        async with _stub(target, target.credentials) as stub:
            calls = [stub.InferStream(metadata=metadata) for _ in range(50)]
            for call in calls[::2]:
                with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    await call.write(pb.InferStreamRequest(id=1))
            await asyncio.sleep(1.0)


async def slow_reader(target: Target) -> None:
    """Sends what it can and never reads an answer."""
    metadata = target.credentials.metadata()
    async with _stub(target, target.credentials) as stub:
        call = stub.InferStream(metadata=metadata)
        number = 0
        while True:
            number += 1
            await call.write(pb.InferStreamRequest(id=number, request=target.good))


async def idle_connections(target: Target) -> None:
    """A thousand connections that greet and fall silent."""
    host, _, port = target.address.rpartition(":")
    writers = []
    try:
        for _ in range(IDLE):
            _, writer = await asyncio.open_connection(host, int(port))
            writer.write(PREFACE)
            writers.append(writer)
        await asyncio.Event().wait()
    finally:
        for writer in writers:
            writer.transport.abort()


async def oversized_messages(target: Target) -> None:
    """Messages beyond every limit, four a second."""
    metadata, good = target.credentials.metadata(), target.good
    request = pb.InferRequest(
        model=good.model, fingerprint=good.fingerprint, cut=good.cut, frame=bytes(OVERSIZED_BYTES)
    )
    async with _stub(target, target.credentials) as stub:
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                await stub.Infer(request, timeout=30, metadata=metadata)
            await asyncio.sleep(0.25)


async def random_bytes(target: Target) -> None:
    """Noise on the port, with and without a greeting before it."""
    generator = random.Random(0)
    host, _, port = target.address.rpartition(":")
    while True:
        reader, writer = await asyncio.open_connection(host, int(port))
        with contextlib.suppress(OSError, TimeoutError):
            writer.write(
                (PREFACE if generator.random() < 0.5 else b"") + generator.randbytes(generator.randrange(1, 4096))
            )
            await writer.drain()
            async with asyncio.timeout(0.2):
                await reader.read()
        writer.transport.abort()
        await asyncio.sleep(0.02)


async def bad_tokens(target: Target) -> None:
    """Guesses at tokens, each call with another one."""
    generator = random.Random(1)
    async with _stub(target, target.credentials) as stub:
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                metadata = (("authorization", f"Bearer {generator.randbytes(32).hex()}"),)
                await stub.GetModel(pb.GetModelRequest(name=target.good.model), metadata=metadata, timeout=30)
            await asyncio.sleep(0.01)


async def expired_certificates(target: Target) -> None:
    """Certificates that have expired or that another authority signed, twenty connections a second."""
    while True:
        for credentials in target.refused:
            async with _stub(target, credentials) as stub:
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await stub.GetModel(pb.GetModelRequest(name=target.good.model), timeout=1)
            await asyncio.sleep(0.05)


GANG: dict[str, Misdeed] = {
    one.__name__: one
    for one in (
        malformed_frames,
        half_open_streams,
        slow_reader,
        idle_connections,
        oversized_messages,
        random_bytes,
        bad_tokens,
        expired_certificates,
    )
}
