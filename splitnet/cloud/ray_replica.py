"""One replica of the service on Ray Serve: the same core and the same servicer as `splitnet.cloud.server`."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import structlog
from pydantic import BaseModel, ConfigDict, Field

from splitnet.cloud.boundary import retry_details
from splitnet.cloud.config.assemble import build_service
from splitnet.cloud.config.loading import read_config, with_options
from splitnet.cloud.config.schema import ServeConfig
from splitnet.cloud.ray_ingress import TIME_LEFT
from splitnet.cloud.service import InferenceService
from splitnet.cloud.servicer import InferenceServicer
from splitnet.errors import FAULT, InternalError, ServiceError, UsageError
from splitnet.runtime.heap import share_heap
from splitnet.v1 import inference_pb2 as pb
from splitnet.wire.channels import DETAILS, code_of

log = structlog.get_logger("splitnet.server")


class ReplicaSettings(BaseModel):
    """What one replica does.

    Parameters
    ----------
    config
        The TOML file of `splitnet serve`, for all that Serve does not do itself: bundles, access, limits, batching.
        Every node has it, and what it names, at the same place.
    bundles, workers, threads, queue
        What overrides it.
    stream_seconds
        After this time a stream ends and its client opens another one: a stream stays with its replica, so that
        without an end it would see neither new replicas nor let an old one go.
    stuck_seconds
        A replica that has work and gave no answer for so long is unhealthy, and Serve replaces it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    config: Path | None = None
    bundles: tuple[Path, ...] = ()
    workers: int | None = None
    threads: int | None = None
    queue: int | None = None
    stream_seconds: float = Field(default=60.0, gt=0)
    stuck_seconds: float = Field(default=60.0, gt=0)

    @property
    def service(self) -> ServeConfig:
        """The configuration of the core. Raises ConfigError."""
        options = {
            "bundles": list(self.bundles) or None,
            "batching.workers": self.workers,
            "batching.queue": self.queue,
            "threads": self.threads,
        }
        config = with_options(ServeConfig() if self.config is None else read_config(self.config), options)
        if not config.bundles:
            raise UsageError("nothing to serve; give bundles, or a config that names some")
        return config


class Replica:
    """Answers the RPCs of `splitnet.v1.InferenceService`; Serve calls the methods by their names."""

    def __init__(self, settings: ReplicaSettings) -> None:
        self._settings = settings
        self._service = self.make_service(settings)
        self._servicer = InferenceServicer(self._service)
        self._last_answer = time.monotonic()

    def make_service(self, settings: ReplicaSettings) -> InferenceService:
        """The core. Raises BundleError, ModelError."""
        share_heap()
        return build_service(settings.service)

    async def ListModels(self, request: pb.ListModelsRequest, grpc_context: Any) -> pb.ListModelsResponse:
        try:
            return await self._servicer.ListModels(request, _context(grpc_context))
        except Exception as error:  # noqa: BLE001 - the boundary: any defect is INTERNAL to the client
            _refuse(grpc_context, error)
            return pb.ListModelsResponse()

    async def GetModel(self, request: pb.GetModelRequest, grpc_context: Any) -> pb.GetModelResponse:
        try:
            return await self._servicer.GetModel(request, _context(grpc_context))
        except Exception as error:  # noqa: BLE001 - as above
            _refuse(grpc_context, error)
            return pb.GetModelResponse()

    async def Infer(self, request: pb.InferRequest, grpc_context: Any) -> pb.InferResponse:
        if not self._service.in_flight:
            self._last_answer = time.monotonic()
        try:
            return await self._servicer.Infer(request, _context(grpc_context))
        except Exception as error:  # noqa: BLE001 - as above
            # Not raised: Serve drops the trailing metadata of a call that raises, and with it the hint when to retry.
            _refuse(grpc_context, error)
            return pb.InferResponse()
        finally:
            self._last_answer = time.monotonic()

    async def InferStream(
        self, request_stream: AsyncIterator[pb.InferStreamRequest], grpc_context: Any
    ) -> AsyncIterator[pb.InferStreamResponse]:
        requests = _until(request_stream, time.monotonic() + self._settings.stream_seconds)
        if not self._service.in_flight:
            self._last_answer = time.monotonic()
        try:
            async for answer in self._servicer.InferStream(requests, _context(grpc_context)):
                self._last_answer = time.monotonic()
                yield answer
        except ServiceError as error:
            _refuse(grpc_context, error)
            raise

    async def check_health(self) -> None:
        """Serve asks every few seconds. Raises InternalError."""
        silent = time.monotonic() - self._last_answer
        if self._service.in_flight and silent > self._settings.stuck_seconds:
            raise InternalError(f"{self._service.in_flight} requests wait and none was answered for {silent:.0f} s")

    def __del__(self) -> None:
        # Serve calls this once no request is left, or its grace period is over.
        if hasattr(self, "_servicer"):
            self._servicer.drain()
            self._service.close()


async def _until(requests: AsyncIterator[Any], end: float) -> AsyncIterator[Any]:
    """Requests until the client ends the stream or `end` (of `time.monotonic`) has come."""
    with contextlib.suppress(TimeoutError, StopAsyncIteration):
        while True:
            async with asyncio.timeout(max(0.0, end - time.monotonic())):
                request = await anext(requests)
            yield request


class _Context:
    """Serve's copy of a call's context, with the one thing that it lacks."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def time_remaining(self) -> float | None:
        """Seconds that the client still waits, as its proxy saw it; None without a deadline."""
        for key, value in self._context.invocation_metadata():
            if key == TIME_LEFT:
                with contextlib.suppress(ValueError):
                    return float(value)
        return None


def _context(context: Any) -> Any:
    return _Context(context)


def _refuse(context: Any, error: Exception) -> None:
    if isinstance(error, ServiceError):
        code, text = code_of(error), FAULT if isinstance(error, InternalError) else str(error)
    else:
        log.error("call failed", exc_info=error)
        code, text = grpc.StatusCode.INTERNAL, FAULT
    context.set_code(code)
    context.set_details(text)
    if isinstance(error, ServiceError) and error.retry_after:
        context.set_trailing_metadata([(DETAILS, retry_details(error, error.retry_after))])
