"""The RPCs of `splitnet.v1.InferenceService` on `grpc.aio`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, NoReturn

import grpc
import structlog

from splitnet.cloud.boundary import fail
from splitnet.cloud.service import InferenceService
from splitnet.cloud.workers import WorkerPool
from splitnet.errors import InternalError, InvalidRequestError, ServiceError, UnavailableError
from splitnet.v1 import inference_pb2 as pb
from splitnet.v1 import inference_pb2_grpc as pb_grpc
from splitnet.wire import messages
from splitnet.wire.channels import code_of

STREAM_WINDOW = 32
"""Requests of one stream in flight at once; past that the stream is not read, and HTTP/2 slows the client down."""

Context = grpc.aio.ServicerContext[Any, Any]
Answer = asyncio.Future[pb.InferResponse]
log = structlog.get_logger("splitnet.server")


class InferenceServicer(pb_grpc.InferenceServiceServicer):
    """Admission and transport; every answer comes from the service core on one of `workers`."""

    def __init__(self, service: InferenceService, workers: WorkerPool[pb.InferResponse]) -> None:
        self._service = service
        self._workers = workers
        self._draining = False
        self._readers: set[asyncio.Task[None]] = set()

    @property
    def idle(self) -> bool:
        """Whether nothing is running, waiting or being streamed."""
        return self._workers.in_flight == 0 and not self._readers

    def drain(self) -> None:
        """Refuse new requests with UNAVAILABLE from now on; streams end once what they have sent is answered."""
        self._draining = True
        for reader in self._readers:
            reader.cancel()

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        return pb.ListModelsResponse(models=[messages.summary_to_message(one) for one in self._service.models()])

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        try:
            return messages.model_to_message(self._service.describe(request.name, request.version))
        except ServiceError as error:
            await _abort(context, error)

    async def Infer(self, request: pb.InferRequest, context: Context) -> pb.InferResponse:
        remaining = context.time_remaining()
        try:
            return await self._start(request, remaining)
        except ServiceError as error:
            await _abort(context, error)

    async def InferStream(
        self, request_iterator: AsyncIterator[pb.InferStreamRequest | None], context: Context
    ) -> AsyncIterator[pb.InferStreamResponse]:
        answers: asyncio.Queue[pb.InferStreamResponse | None] = asyncio.Queue()
        window = asyncio.Semaphore(STREAM_WINDOW)
        running: set[Answer] = set()

        def answered(number: int, answer: Answer) -> None:
            running.discard(answer)
            if not answer.cancelled():
                answers.put_nowait(_reply(number, answer))

        async def read() -> None:
            held: pb.InferStreamRequest | None = None
            try:
                async for request in request_iterator:
                    if request is None:
                        raise InvalidRequestError("the request is not a splitnet.v1.InferStreamRequest")
                    held = request
                    await window.acquire()
                    held = None
                    try:
                        answer = self._start(request.request, request.timeout or None)
                    except ServiceError as error:
                        answers.put_nowait(_refusal(request.id, error))
                    else:
                        running.add(answer)
                        answer.add_done_callback(partial(answered, request.id))
            except asyncio.CancelledError:
                if not self._draining:
                    raise
                if held is not None:
                    answers.put_nowait(_refusal(held.id, _draining()))
            finally:
                while running:
                    await asyncio.wait(running)
                answers.put_nowait(None)

        reader = asyncio.create_task(read())
        self._readers.add(reader)
        try:
            while (response := await answers.get()) is not None:
                yield response
                # Freed only once the answer is written: a client that does not read is not read from either.
                window.release()
            await reader
        except ServiceError as error:
            await _abort(context, error)
        except Exception as error:  # noqa: BLE001 - the boundary of a stream: as in boundary.py
            await fail(context, error)
        finally:
            self._readers.discard(reader)
            for answer in list(running):
                answer.cancel()
            reader.cancel()

    def _start(self, message: pb.InferRequest, timeout: float | None) -> Answer:
        """Admit a request. Raises UnavailableError, OverloadedError."""
        if self._draining:
            raise _draining()
        arrived = time.perf_counter()
        deadline = None if timeout is None else arrived + timeout
        return self._workers.submit(lambda: self._answer(message, arrived, deadline))

    def _answer(self, message: pb.InferRequest, arrived: float, deadline: float | None) -> pb.InferResponse:
        try:
            request = messages.request_from_message(message)
            response = self._service.infer(request, arrived=arrived, deadline=deadline)
            return messages.response_to_message(response)
        except ServiceError:
            raise
        except Exception as error:  # the boundary: whatever else fails is ours, and its detail stays here
            log.exception("request failed", model=message.model, cut=message.cut)
            raise InternalError("the service failed; its log says why") from error


def _reply(number: int, answer: Answer) -> pb.InferStreamResponse:
    error = answer.exception()
    if isinstance(error, ServiceError):
        return _refusal(number, error)
    return pb.InferStreamResponse(id=number, response=answer.result())


def _refusal(number: int, error: ServiceError) -> pb.InferStreamResponse:
    return pb.InferStreamResponse(id=number, error=pb.Error(code=code_of(error).value[0], message=str(error)))


def _draining() -> UnavailableError:
    return UnavailableError("the server is draining; send to another one")


async def _abort(context: Context, error: ServiceError) -> NoReturn:
    await context.abort(code_of(error), str(error))
    raise AssertionError("abort always raises")
