"""The service over gRPC for callers that block: one request at a time over each of a few streams."""

from __future__ import annotations

import time
from queue import SimpleQueue
from typing import Any

import grpc

from splitnet.edge.watchdog import Watchdog
from splitnet.errors import LateError, UnavailableError, UsageError
from splitnet.v1 import inference_pb2 as pb
from splitnet.v1 import inference_pb2_grpc as pb_grpc
from splitnet.wire import messages
from splitnet.wire.channels import from_rpc_error, from_stream_error, open_channel, parse_address
from splitnet.wire.credentials import NO_CREDENTIALS, Credentials
from splitnet.wire.exchange import InferenceRequest, InferenceResponse, ModelInfo, ModelSummary


class GrpcTransport:
    """Blocking calls over one channel; may be used from several threads.

    A request on a stream that is open already costs less than a unary call, which opens and closes one, so each request
    borrows an idle stream and gives it back. With `unary` each request is a call of its own all the same.

    Raises
    ------
    UsageError
        if the address is not HOST:PORT, or the credentials cannot be used with it.
    """

    def __init__(self, address: str, credentials: Credentials = NO_CREDENTIALS, *, unary: bool = False) -> None:
        self._unary = unary
        self.address = parse_address(address, what="server")
        self._credentials = credentials
        self._channel = open_channel(self.address, credentials)
        self._stub = pb_grpc.InferenceServiceStub(self._channel)
        self._idle: list[_Stream] = []
        self._closed = False
        self._watchdog = Watchdog()

    def models(self, timeout: float | None = None) -> list[ModelSummary]:
        """Raises ServiceError."""
        try:
            reply = self._stub.ListModels(
                pb.ListModelsRequest(), timeout=timeout, metadata=self._credentials.metadata()
            )
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.address) from error
        return [messages.summary_from_message(one) for one in reply.models]

    def describe(self, name: str, version: str = "", timeout: float | None = None) -> ModelInfo:
        """Raises ServiceError."""
        try:
            reply = self._stub.GetModel(
                pb.GetModelRequest(name=name, version=version), timeout=timeout, metadata=self._credentials.metadata()
            )
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.address) from error
        return messages.model_from_message(reply)

    def infer(self, request: InferenceRequest, timeout: float | None = None) -> InferenceResponse:
        """Raises ServiceError; LateError once `timeout` has passed here, whatever the server does."""
        if self._closed:
            raise UsageError(f"the connection to {self.address} was closed; make a new one")
        if self._unary:
            return self._call(request, timeout)
        stream = self._borrow()
        message = pb.InferStreamRequest(id=1, request=messages.request_to_message(request), timeout=timeout or 0.0)
        try:
            if timeout is None:
                reply = stream.exchange(message)
            else:
                with self._watchdog.limit(time.monotonic() + timeout, stream.cancel):
                    reply = stream.exchange(message)
        except StopIteration as error:
            stream.end()
            raise UnavailableError(f"the server at {self.address} closed the stream; try again") from error
        except grpc.RpcError as error:
            stream.end()
            if timeout is not None and stream.cancelled:
                raise LateError(f"no answer from {self.address} within {timeout:g} s; raise the deadline") from error
            raise from_rpc_error(error, self.address) from error
        except BaseException:
            # Interrupted half way: the answer would reach the next borrower.
            stream.cancel()
            raise
        self._idle.append(stream)
        if reply.WhichOneof("outcome") == "error":
            raise from_stream_error(reply.error, self.address)
        return messages.response_from_message(reply.response)

    def _call(self, request: InferenceRequest, timeout: float | None) -> InferenceResponse:
        message, metadata = messages.request_to_message(request), self._credentials.metadata()
        try:
            reply = self._stub.Infer(message, timeout=timeout, metadata=metadata)
        except grpc.RpcError as error:
            raise from_rpc_error(error, self.address) from error
        return messages.response_from_message(reply)

    def _borrow(self) -> _Stream:
        while True:
            try:
                stream = self._idle.pop()
            except IndexError:
                return _Stream(self._stub, self._credentials)
            if stream.alive:
                return stream
            stream.end()

    def close(self) -> None:
        """End the streams and close the channel."""
        self._closed = True
        while self._idle:
            self._idle.pop().end()
        self._watchdog.close()
        self._channel.close()


class _Stream:
    """One bidirectional stream that carries one request at a time."""

    def __init__(self, stub: pb_grpc.InferenceServiceStub, credentials: Credentials) -> None:
        self._requests: SimpleQueue[pb.InferStreamRequest | None] = SimpleQueue()
        self._call: Any = stub.InferStream(iter(self._requests.get, None), metadata=credentials.metadata())
        self.cancelled = False

    @property
    def alive(self) -> bool:
        """Whether neither side has ended it."""
        return bool(self._call.is_active())

    def exchange(self, message: pb.InferStreamRequest) -> pb.InferStreamResponse:
        """Raises grpc.RpcError, or StopIteration where the server has ended the stream."""
        self._requests.put(message)
        reply: pb.InferStreamResponse = next(self._call)
        return reply

    def cancel(self) -> None:
        """End it at once; `exchange` raises where another thread waits in it."""
        self.cancelled = True
        self._call.cancel()
        self._requests.put(None)

    def end(self) -> None:
        """End it in good order; gRPC's thread that takes requests from the queue ends with it."""
        self._requests.put(None)
