"""The RPCs of `splitnet.v1.InferenceService` on `grpc.aio`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

import grpc
import structlog

from splitnet.cloud.access import Caller
from splitnet.cloud.batching import Answer
from splitnet.cloud.peers import peer_of
from splitnet.cloud.repository.download import Downloads
from splitnet.cloud.service import InferenceService
from splitnet.errors import InternalError, InvalidRequestError, ServiceError, UnavailableError
from splitnet.v1 import inference_pb2 as pb
from splitnet.v1 import inference_pb2_grpc as pb_grpc
from splitnet.wire import messages
from splitnet.wire.channels import code_of

STREAM_WINDOW = 32
"""Requests of one stream in flight at once; past that the stream is not read, and HTTP/2 slows the client down."""

Context = grpc.aio.ServicerContext[Any, Any]
log = structlog.get_logger("splitnet.server")


class InferenceServicer(pb_grpc.InferenceServiceServicer):
    """The transport of one service core; every answer comes from the core."""

    def __init__(self, service: InferenceService) -> None:
        self._service = service
        self._downloads = Downloads(service)
        self._draining = False
        self._readers: set[asyncio.Task[None]] = set()
        self._unary = 0

    @property
    def idle(self) -> bool:
        """Whether nothing is running, waiting or being streamed."""
        return self._service.in_flight == 0 and not self._readers and not self._unary

    def drain(self) -> None:
        """Refuse new requests with UNAVAILABLE from now on; streams end once what they have sent is answered."""
        self._draining = True
        for reader in self._readers:
            reader.cancel()

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        caller = self._caller(context)
        return pb.ListModelsResponse(models=[messages.summary_to_message(one) for one in self._service.models(caller)])

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        return messages.model_to_message(self._service.describe(request.name, request.version, self._caller(context)))

    async def FetchBundle(self, request: pb.FetchBundleRequest, context: Context) -> AsyncIterator[pb.BundleChunk]:
        if self._draining:
            raise _draining()
        async with aclosing(
            self._downloads.send(messages.wanted_from_message(request), self._caller(context))
        ) as chunks:
            async for chunk in chunks:
                yield messages.chunk_to_message(chunk)

    async def Infer(self, request: pb.InferRequest, context: Context) -> pb.InferResponse:
        self._unary += 1
        try:
            if not request.traceparent:
                request.traceparent = _traceparent(context)
            answer = self._start(request, self._caller(context), context.time_remaining())
            return messages.response_to_message(await answer)
        finally:
            self._unary -= 1

    async def InferStream(
        self, request_iterator: AsyncIterator[pb.InferStreamRequest | None], context: Context
    ) -> AsyncIterator[pb.InferStreamResponse]:
        session = self._service.session(peer_of(context))
        answers: asyncio.Queue[pb.InferStreamResponse | None] = asyncio.Queue()
        window = asyncio.Semaphore(STREAM_WINDOW)
        running: dict[int, Answer] = {}

        def answered(number: int, answer: Answer) -> None:
            if running.get(number) is answer:
                del running[number]
            if answer.cancelled():
                window.release()
            else:
                answers.put_nowait(_reply(number, answer))

        def begin(request: pb.InferStreamRequest) -> None:
            try:
                if request.id in running:
                    raise InvalidRequestError(f"id {request.id} is in flight on this stream; give each request its own")
                answer = self._start(request.request, session.caller(), request.timeout or None)
            except ServiceError as error:
                answers.put_nowait(_refusal(request.id, error))
            else:
                running[request.id] = answer
                answer.add_done_callback(partial(answered, request.id))

        async def read() -> None:
            held: pb.InferStreamRequest | None = None
            try:
                async for request in request_iterator:
                    if request is None:
                        raise InvalidRequestError("the request is not a splitnet.v1.InferStreamRequest")
                    if request.cancel:
                        if request.id in running:
                            running[request.id].cancel()
                        continue
                    held = request
                    await window.acquire()
                    held = None
                    begin(request)
            except asyncio.CancelledError:
                if not self._draining:
                    raise
                if held is not None:
                    answers.put_nowait(_refusal(held.id, _draining()))
            finally:
                while running:
                    await asyncio.wait(list(running.values()))
                answers.put_nowait(None)

        reader = asyncio.create_task(read())
        self._readers.add(reader)
        self._service.observer.stream(1)
        try:
            while (response := await answers.get()) is not None:
                yield response
                # Freed only once the answer is written: a client that does not read is not read from either.
                window.release()
            await reader
        finally:
            self._service.observer.stream(-1)
            self._readers.discard(reader)
            for answer in list(running.values()):
                answer.cancel()
            reader.cancel()

    def _caller(self, context: Context) -> Caller:
        return self._service.session(peer_of(context)).caller()

    def _start(self, message: pb.InferRequest, caller: Caller, timeout: float | None) -> Answer:
        """Admit a request. Raises ServiceError."""
        if self._draining:
            raise self._refused(_draining(), caller)
        arrived = time.perf_counter()
        deadline = None if timeout is None else arrived + timeout
        try:
            try:
                request = messages.request_from_message(message)
            except InvalidRequestError as error:
                raise self._refused(error, caller) from None
            return self._service.submit(request, caller, arrived=arrived, deadline=deadline)
        except ServiceError:
            raise
        except Exception as error:  # the boundary: whatever else fails is ours, and its detail stays here
            log.exception("request failed", model=message.model, cut=message.cut)
            raise self._refused(InternalError(), caller) from error

    def _refused(self, error: ServiceError, caller: Caller) -> ServiceError:
        self._service.observer.refused(error, caller)
        return error


def _traceparent(context: Context) -> str:
    return next((str(value) for name, value in context.invocation_metadata() or () if name == "traceparent"), "")


def _reply(number: int, answer: Answer) -> pb.InferStreamResponse:
    error = answer.exception()
    if error is None:
        reply = pb.InferStreamResponse(id=number)
        messages.response_to_message(answer.result(), reply.response)
        return reply
    if isinstance(error, ServiceError):
        return _refusal(number, error)
    log.error("request failed", exc_info=error)
    return _refusal(number, InternalError())


def _refusal(number: int, error: ServiceError) -> pb.InferStreamResponse:
    retry = error.retry_after or 0.0
    return pb.InferStreamResponse(
        id=number, error=pb.Error(code=code_of(error).value[0], message=str(error), retry_after=retry)
    )


def _draining() -> UnavailableError:
    return UnavailableError("the server is draining; send to another one")
