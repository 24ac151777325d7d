"""Devices: each has a stream of its own, sends when told to and notes what came back and when."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import grpc

from splitnet.v1 import inference_pb2 as pb
from splitnet.v1 import inference_pb2_grpc as pb_grpc
from splitnet.wire.channels import client_options
from splitnet.wire.credentials import NO_CREDENTIALS, Credentials

NOT_SENT = "NOT_SENT"
"""The deadline passed before the stream took the request."""


@dataclass(slots=True)
class Record:
    """What one run saw. `latencies` (seconds) are those of answers with a result, from the moment the request was due,
    so that a request which could not be sent in time is late and not forgotten; `finished` are readings of
    `time.perf_counter`. `graph` are the service's own times of the network for the same answers.
    """

    due: int = 0
    latencies: list[float] = field(default_factory=list)
    finished: list[float] = field(default_factory=list)
    graph: list[float] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)
    refused_at: list[float] = field(default_factory=list)

    def answer(self, due: float, now: float, reply: pb.InferStreamResponse) -> None:
        """Note a reply."""
        if reply.WhichOneof("outcome") == "response":
            timing = reply.response.timing
            self.codes["OK"] += 1
            self.latencies.append(now - due)
            self.finished.append(now)
            self.graph.append(timing.graph + timing.heads)
            self.batches.append(timing.batch)
        else:
            self.codes[_NAMES.get(reply.error.code, "UNKNOWN")] += 1
            self.refused_at.append(now)


_NAMES = {code.value[0]: code.name for code in grpc.StatusCode}


class Device:
    """One stream; requests may be in flight at the same time."""

    def __init__(self, address: str, record: Record, credentials: Credentials = NO_CREDENTIALS) -> None:
        # A pool of its own: without, gRPC lets all channels of a process share one connection.
        options: list[tuple[str, Any]] = [*client_options(), ("grpc.use_local_subchannel_pool", 1)]
        tls = credentials.tls(address)
        self._channel = (
            grpc.aio.insecure_channel(address, options=options)
            if tls is None
            else grpc.aio.secure_channel(address, tls, options=options)
        )
        self._record = record
        self._call: Any = pb_grpc.InferenceServiceStub(self._channel).InferStream(metadata=credentials.metadata())
        self._waiting: dict[int, tuple[float, asyncio.Future[None]]] = {}
        self._outbox: asyncio.Queue[tuple[float, pb.InferStreamRequest]] = asyncio.Queue()
        self._number = 0
        self._tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._read())]

    def send(self, request: pb.InferRequest, due: float, timeout: float = 0.0) -> asyncio.Future[None]:
        """Queue a request that is due at `due`; the future is done when its outcome is noted."""
        self._number += 1
        self._record.due += 1
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[self._number] = (due, done)
        self._outbox.put_nowait((due, pb.InferStreamRequest(id=self._number, request=request, timeout=timeout)))
        return done

    async def close(self) -> None:
        """End the stream; what is unanswered is noted as such."""
        for task in self._tasks:
            task.cancel()
        with contextlib.suppress(BaseException):
            await asyncio.gather(*self._tasks, return_exceptions=True)
        self._call.cancel()
        self._fail("UNANSWERED")
        await self._channel.close()

    async def _write(self) -> None:
        while True:
            due, message = await self._outbox.get()
            if message.timeout:
                message.timeout -= time.perf_counter() - due
                if message.timeout <= 0:
                    self._settle(message.id, NOT_SENT)
                    continue
            await self._call.write(message)

    async def _read(self) -> None:
        try:
            async for reply in self._call:
                now = time.perf_counter()
                due, done = self._waiting.pop(reply.id)
                self._record.answer(due, now, reply)
                if not done.done():
                    done.set_result(None)
        except grpc.aio.AioRpcError as error:
            self._fail(error.code().name)

    def _settle(self, number: int, code: str) -> None:
        _, done = self._waiting.pop(number)
        self._record.codes[code] += 1
        if not done.done():
            done.set_result(None)

    def _fail(self, code: str) -> None:
        for number in list(self._waiting):
            self._settle(number, code)
