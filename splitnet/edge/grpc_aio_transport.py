"""The service over gRPC for asyncio: many requests at a time over one stream."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import time
from collections.abc import Iterator, Sequence
from typing import Any

import grpc

from splitnet.errors import CancelledError, InternalError, LateError, ServiceError, UnavailableError, UsageError
from splitnet.v1 import inference_pb2 as pb
from splitnet.v1 import inference_pb2_grpc as pb_grpc
from splitnet.wire import messages
from splitnet.wire.channels import from_rpc_error, from_stream_error, open_aio_channel, parse_address
from splitnet.wire.credentials import NO_CREDENTIALS, Credentials
from splitnet.wire.exchange import InferenceRequest, InferenceResponse, ModelInfo

_HEALTH = "/grpc.health.v1.Health/Check"
SILENT = "silent"
"""The reason of a `LateError` that is the client's own: nothing was heard of the server."""


class AsyncGrpcTransport:
    """Requests multiplexed over one bidirectional stream; answers come back in any order.

    The stream opens with the first request. When it breaks, every request in flight fails with the stream's error and
    the next one opens a new stream. A request that is late or cancelled gives up its own answer alone.
    With `unary` each request is a call of its own instead. `options` are gRPC's, in place of the usual ones.

    Raises
    ------
    UsageError
        if the address is not HOST:PORT, or the credentials cannot be used with it.
    """

    def __init__(
        self,
        address: str,
        credentials: Credentials = NO_CREDENTIALS,
        *,
        unary: bool = False,
        options: Sequence[tuple[str, int]] = (),
    ) -> None:
        self._unary = unary
        self.address = parse_address(address, what="server")
        self._credentials = credentials
        self._channel = open_aio_channel(self.address, credentials, options)
        self._stub: Any = pb_grpc.InferenceServiceStub(self._channel)
        self._ids = itertools.count(1)
        self._stream: _Stream | None = None
        self._closed = False

    async def describe(self, name: str, version: str = "", timeout: float | None = None) -> ModelInfo:
        """Raises ServiceError."""
        wanted, metadata = pb.GetModelRequest(name=name, version=version), self._metadata()
        with self._call_errors():
            reply = await self._stub.GetModel(wanted, timeout=timeout, metadata=metadata)
        return messages.model_from_message(reply)

    async def probe(self, timeout: float, payload: int = 0) -> float:
        """Seconds of a round trip: a message to the health service, of `payload` bytes, answered with a few.

        The payload is a field that the service does not know, which protobuf has it pass over. A server without that
        service answers too, and so does one that wants to know who asks. Raises ServiceError.
        """
        call: Any = self._channel.unary_unary(_HEALTH)
        metadata, started = self._metadata(), time.perf_counter()
        try:
            with self._call_errors():
                await call(_field(payload), timeout=timeout, metadata=metadata)
        except (UnavailableError, LateError, InternalError, CancelledError):
            raise
        except ServiceError:
            # A refusal is an answer.
            pass
        return time.perf_counter() - started

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        """What goes with a call. Raises UnavailableError where it cannot be read now: a token is being replaced."""
        try:
            return self._credentials.metadata()
        except UsageError as error:
            raise UnavailableError(str(error)) from error

    @contextlib.contextmanager
    def _call_errors(self) -> Iterator[None]:
        try:
            yield
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.address) from error
        except asyncio.CancelledError as error:
            # gRPC ends a call this way too where its channel was closed; then nobody asked this task to end.
            task = asyncio.current_task()
            if self._closed and task is not None and not task.cancelling():
                raise UnavailableError(f"the connection to {self.address} was closed") from error
            raise

    async def infer(self, request: InferenceRequest, timeout: float | None = None) -> InferenceResponse:
        """Raises ServiceError; LateError once `timeout` has passed here, whatever the server does."""
        if self._closed:
            raise UsageError(f"the connection to {self.address} was closed; make a new one")
        if self._unary:
            return await self._call(request, timeout)
        if self._stream is None or self._stream.ended:
            self._stream = _Stream(self._stub, self.address, self._metadata())
        number = next(self._ids)
        message = pb.InferStreamRequest(id=number, request=messages.request_to_message(request), timeout=timeout or 0.0)
        answer = self._stream.send(message)
        try:
            async with asyncio.timeout(timeout):
                return await answer
        except TimeoutError as error:
            late = LateError(f"no answer from {self.address} within {timeout:g} s; raise --deadline")
            late.reason = SILENT
            raise late from error
        finally:
            self._stream.forget(number)

    async def _call(self, request: InferenceRequest, timeout: float | None) -> InferenceResponse:
        message, metadata = messages.request_to_message(request), self._metadata()
        with self._call_errors():
            reply = await self._stub.Infer(message, timeout=timeout, metadata=metadata)
        return messages.response_from_message(reply)

    async def aclose(self) -> None:
        """End the stream and close the channel."""
        self._closed = True
        if self._stream is not None:
            await self._stream.close()
        await self._channel.close()


def _field(payload: int) -> bytes:
    """Field 15 with random bytes, which nothing on the way can make smaller."""
    if not payload:
        return b""
    length, left = bytearray(), payload
    while left > 0x7F:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([15 << 3 | 2, *length, left]) + os.urandom(payload)


class _Stream:
    """One bidirectional call, a task that writes to it and a task that reads from it.

    Writing has a task of its own, because a deadline that passes within `call.write` would cancel the whole call.
    """

    def __init__(self, stub: Any, address: str, metadata: tuple[tuple[str, str], ...]) -> None:
        self._address = address
        self._call = stub.InferStream(metadata=metadata)
        self._waiting: dict[int, asyncio.Future[InferenceResponse]] = {}
        self._outbox: asyncio.Queue[pb.InferStreamRequest] = asyncio.Queue()
        self._reader = asyncio.create_task(self._read())
        self._writer = asyncio.create_task(self._write())
        self._closing = False
        self.ended = False

    def send(self, message: pb.InferStreamRequest) -> asyncio.Future[InferenceResponse]:
        """Queue a request; the future is its answer."""
        answer: asyncio.Future[InferenceResponse] = asyncio.get_running_loop().create_future()
        self._waiting[message.id] = answer
        self._outbox.put_nowait(message)
        return answer

    def forget(self, number: int) -> None:
        """Nobody waits for this answer any more."""
        answer = self._waiting.pop(number, None)
        if answer is not None:
            answer.cancel()

    async def close(self) -> None:
        """End the call; requests in flight fail."""
        self._closing = True
        self._reader.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._reader

    async def _write(self) -> None:
        while True:
            message = await self._outbox.get()
            if message.id not in self._waiting:
                continue
            try:
                await self._call.write(message)
            except (grpc.RpcError, asyncio.InvalidStateError):
                # The reader learns the reason and fails every request in flight with it.
                return

    async def _read(self) -> None:
        error: ServiceError = UnavailableError(f"the server at {self._address} closed the stream; try again")
        try:
            async for reply in self._call:
                self._deliver(reply)
        except grpc.RpcError as failure:
            error = from_rpc_error(failure, self._address)
        except asyncio.CancelledError:
            # grpc.aio raises this also where the server cancelled the stream.
            if self._closing:
                error = CancelledError("the client was closed")
                raise
        finally:
            self.ended = True
            self._writer.cancel()
            self._call.cancel()
            for waiting in self._waiting.values():
                if not waiting.done():
                    waiting.set_exception(error)

    def _deliver(self, reply: pb.InferStreamResponse) -> None:
        waiting = self._waiting.get(reply.id)
        if waiting is None or waiting.done():
            return
        if reply.WhichOneof("outcome") == "response":
            try:
                waiting.set_result(messages.response_from_message(reply.response))
            except ServiceError as error:
                waiting.set_exception(error)
        else:
            waiting.set_exception(from_stream_error(reply.error, self._address))
