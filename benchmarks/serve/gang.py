"""Clients that mean no good, each a coroutine that goes on until it is cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import grpc

from featcodec.testing import hostile_frames
from splitnet.v1 import inference_pb2 as pb
from splitnet.v1 import inference_pb2_grpc as pb_grpc

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
"""What an HTTP/2 client says first, and an empty SETTINGS frame."""

IDLE = 1000
OVERSIZED_BYTES = 16 << 20
Misdeed = Callable[[str, pb.InferRequest], Coroutine[Any, Any, None]]


@contextlib.asynccontextmanager
async def _stub(address: str) -> AsyncIterator[Any]:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
    async with grpc.aio.insecure_channel(address, options=options) as channel:
        yield pb_grpc.InferenceServiceStub(channel)


async def malformed_frames(address: str, good: pb.InferRequest) -> None:
    """Every frame of the codec's hostile corpus, one after the other, again and again."""
    async with _stub(address) as stub:
        while True:
            for _, frame in hostile_frames():
                request = pb.InferRequest()
                request.CopyFrom(good)
                request.frame = frame
                with contextlib.suppress(grpc.aio.AioRpcError):
                    await stub.Infer(request, timeout=30)


async def half_open_streams(address: str, good: pb.InferRequest) -> None:
    """Streams that are opened, say nothing, and are dropped without a word."""
    while True:
        async with _stub(address) as stub:
            calls = [stub.InferStream() for _ in range(50)]
            for call in calls[::2]:
                with contextlib.suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
                    await call.write(pb.InferStreamRequest(id=1))
            await asyncio.sleep(1.0)


async def slow_reader(address: str, good: pb.InferRequest) -> None:
    """Sends what it can and never reads an answer."""
    async with _stub(address) as stub:
        call = stub.InferStream()
        number = 0
        while True:
            number += 1
            await call.write(pb.InferStreamRequest(id=number, request=good))


async def idle_connections(address: str, good: pb.InferRequest) -> None:
    """A thousand connections that greet and fall silent."""
    host, _, port = address.rpartition(":")
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


async def oversized_messages(address: str, good: pb.InferRequest) -> None:
    """Messages beyond every limit, four a second."""
    request = pb.InferRequest(
        model=good.model, fingerprint=good.fingerprint, cut=good.cut, frame=bytes(OVERSIZED_BYTES)
    )
    async with _stub(address) as stub:
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                await stub.Infer(request, timeout=30)
            await asyncio.sleep(0.25)


async def random_bytes(address: str, good: pb.InferRequest) -> None:
    """Noise on the port, with and without a greeting before it."""
    generator = random.Random(0)
    host, _, port = address.rpartition(":")
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


async def bad_tokens(address: str, good: pb.InferRequest) -> None:
    """Guesses at tokens, each call with another one."""
    generator = random.Random(1)
    async with _stub(address) as stub:
        while True:
            with contextlib.suppress(grpc.aio.AioRpcError):
                metadata = (("authorization", f"Bearer {generator.randbytes(32).hex()}"),)
                await stub.GetModel(pb.GetModelRequest(name=good.model), metadata=metadata, timeout=30)
            await asyncio.sleep(0.01)


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
    )
}
