"""The RPCs of `splitnet.v1.InferenceService` on `grpc.aio`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from typing import Any, NoReturn

import grpc
import structlog

from splitnet.cloud.service import InferenceService
from splitnet.errors import InternalError, OverloadedError, ServiceError, UnavailableError
from splitnet.v1 import inference_pb2 as pb
from splitnet.v1 import inference_pb2_grpc as pb_grpc
from splitnet.wire import messages
from splitnet.wire.channels import code_of

STREAM_WINDOW = 32
"""Requests of one stream in flight at once; past that the stream is not read, and HTTP/2 slows the client down."""

Context = grpc.aio.ServicerContext[Any, Any]
log = structlog.get_logger("splitnet.server")


class InferenceServicer(pb_grpc.InferenceServiceServicer):
    """Admission and transport; every answer comes from the service core.

    Parameters
    ----------
    service
        The core.
    executor
        Where `service.infer` runs.
    capacity
        Requests in the executor, running or waiting; one more is RESOURCE_EXHAUSTED.
    """

    def __init__(self, service: InferenceService, executor: Executor, *, capacity: int) -> None:
        self._service = service
        self._executor = executor
        self._capacity = capacity
        self._draining = False
        self.in_flight = 0

    def drain(self) -> None:
        """Answer new requests with UNAVAILABLE from now on."""
        self._draining = True

    async def ListModels(self, request: pb.ListModelsRequest, context: Context) -> pb.ListModelsResponse:
        return pb.ListModelsResponse(models=[messages.summary_to_message(one) for one in self._service.models()])

    async def GetModel(self, request: pb.GetModelRequest, context: Context) -> pb.GetModelResponse:
        try:
            return messages.model_to_message(self._service.describe(request.name, request.version))
        except ServiceError as error:
            await _abort(context, error)

    async def Infer(self, request: pb.InferRequest, context: Context) -> pb.InferResponse:
        arrived = time.perf_counter()
        remaining = context.time_remaining()
        try:
            return await self._infer(request, arrived, None if remaining is None else arrived + remaining)
        except ServiceError as error:
            await _abort(context, error)

    async def InferStream(
        self, request_iterator: AsyncIterator[pb.InferStreamRequest], context: Context
    ) -> AsyncIterator[pb.InferStreamResponse]:
        answers: asyncio.Queue[pb.InferStreamResponse | None] = asyncio.Queue()
        window = asyncio.Semaphore(STREAM_WINDOW)

        async def answer(request: pb.InferStreamRequest) -> None:
            arrived = time.perf_counter()
            deadline = arrived + request.timeout if request.timeout > 0 else None
            try:
                response = await self._infer(request.request, arrived, deadline)
                answers.put_nowait(pb.InferStreamResponse(id=request.id, response=response))
            except ServiceError as error:
                failure = pb.Error(code=code_of(error).value[0], message=str(error))
                answers.put_nowait(pb.InferStreamResponse(id=request.id, error=failure))

        async def read() -> None:
            try:
                async with asyncio.TaskGroup() as running:
                    async for request in request_iterator:
                        await window.acquire()
                        running.create_task(answer(request))
            finally:
                answers.put_nowait(None)

        reader = asyncio.create_task(read())
        try:
            while (response := await answers.get()) is not None:
                yield response
                # Freed only once the answer is written: a client that does not read is not read from either.
                window.release()
            await reader
        finally:
            reader.cancel()

    async def _infer(self, message: pb.InferRequest, arrived: float, deadline: float | None) -> pb.InferResponse:
        if self._draining:
            raise UnavailableError("the server is draining; send to another one")
        if self.in_flight >= self._capacity:
            raise OverloadedError(f"{self.in_flight} requests are waiting; send less or try again later")
        self.in_flight += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._executor, self._answer, message, arrived, deadline
            )
        finally:
            self.in_flight -= 1

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


async def _abort(context: Context, error: ServiceError) -> NoReturn:
    await context.abort(code_of(error), str(error))
    raise AssertionError("abort always raises")
