"""The service over gRPC for asyncio: many requests at a time over one stream."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from typing import Any

import grpc

from splitnet.errors import CancelledError, LateError, ServiceError, UnavailableError
from splitnet.v1 import inference_pb2 as pb
from splitnet.v1 import inference_pb2_grpc as pb_grpc
from splitnet.wire import messages
from splitnet.wire.channels import from_rpc_error, from_stream_error, message_options, parse_address
from splitnet.wire.exchange import InferenceRequest, InferenceResponse, ModelInfo


class AsyncGrpcTransport:
    """Requests multiplexed over one bidirectional stream; answers come back in any order.

    Raises
    ------
    UsageError
        if the address is not HOST:PORT.

    The stream opens with the first request. When it breaks, every request in flight fails with the stream's error and
    the next one opens a new stream.
    """

    def __init__(self, address: str) -> None:
        self.address = parse_address(address, what="server")
        self._channel = grpc.aio.insecure_channel(self.address, options=message_options())
        self._stub: Any = pb_grpc.InferenceServiceStub(self._channel)
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[InferenceResponse]] = {}
        self._call: Any = None
        self._reader: asyncio.Task[None] | None = None
        self._closing = False
        # grpc.aio allows one write at a time on a stream.
        self._writing = asyncio.Lock()

    async def describe(self, name: str, version: str = "", timeout: float | None = None) -> ModelInfo:
        """Raises ServiceError."""
        try:
            reply = await self._stub.GetModel(pb.GetModelRequest(name=name, version=version), timeout=timeout)
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.address) from error
        return messages.model_from_message(reply)

    async def infer(self, request: InferenceRequest, timeout: float | None = None) -> InferenceResponse:
        """Raises ServiceError; LateError once `timeout` has passed here, whatever the server does."""
        number = next(self._ids)
        answer: asyncio.Future[InferenceResponse] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        message = pb.InferStreamRequest(id=number, request=messages.request_to_message(request), timeout=timeout or 0.0)
        try:
            async with asyncio.timeout(timeout):
                await self._write(message)
                return await answer
        except TimeoutError as error:
            raise LateError(f"no answer from {self.address} within {timeout:g} s; raise --deadline") from error
        finally:
            self._waiting.pop(number, None)

    async def _write(self, message: pb.InferStreamRequest) -> None:
        async with self._writing:
            if self._call is None:
                self._call = self._stub.InferStream()
                self._reader = asyncio.create_task(self._read(self._call))
            call = self._call
            try:
                await call.write(message)
            except (grpc.RpcError, asyncio.InvalidStateError):
                # The reader learns the reason and fails every request in flight with it, this one too.
                return
            except asyncio.CancelledError:
                # grpc.aio raises this also where the server cancelled the stream, and nobody this task.
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise

    async def _read(self, call: Any) -> None:
        error: ServiceError = UnavailableError(f"the server at {self.address} closed the stream; try again")
        try:
            async for reply in call:
                self._deliver(reply)
        except grpc.RpcError as failure:
            error = from_rpc_error(failure, self.address)
        except asyncio.CancelledError:
            if self._closing:
                error = CancelledError("the client was closed")
                raise
        finally:
            if self._call is call:
                self._call = None
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
            waiting.set_exception(from_stream_error(reply.error, self.address))

    async def aclose(self) -> None:
        """End the stream and close the channel."""
        self._closing = True
        if self._reader is not None:
            self._reader.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader
        await self._channel.close()
