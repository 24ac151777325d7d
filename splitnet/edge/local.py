"""Both halves in one process: the service core behind an in-memory transport."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from splitnet.errors import LateError, UsageError
from splitnet.wire.exchange import InferenceRequest, InferenceResponse, ModelInfo, ModelSummary

if TYPE_CHECKING:
    from splitnet.bundle import Bundle
    from splitnet.cloud.service import InferenceService


class LocalTransport:
    """Calls the service core directly; frames are encoded and decoded all the same, so results are those of a server.

    `timeout` is honoured before the network runs and after it: an answer that comes too late is an error here too.
    """

    address = "local"

    def __init__(self, service: InferenceService) -> None:
        self._service = service

    @classmethod
    def for_bundle(cls, bundle: Bundle) -> LocalTransport:
        """A service of this one bundle. Raises UsageError where the cloud half is not installed."""
        try:
            from splitnet.cloud.batching import BatchSettings
            from splitnet.cloud.service import InferenceService
        except ImportError as error:
            raise UsageError(f"server='local' needs {error.name}; pip install 'splitnet[edge,cloud]'") from error
        # Nothing is batched here: no memory for more than one.
        return cls(InferenceService([bundle], batching=BatchSettings(max_batch=1)))

    def models(self, timeout: float | None = None) -> list[ModelSummary]:
        return self._service.models()

    def describe(self, name: str, version: str = "", timeout: float | None = None) -> ModelInfo:
        return self._service.describe(name, version)

    def infer(self, request: InferenceRequest, timeout: float | None = None) -> InferenceResponse:
        deadline = None if timeout is None else time.perf_counter() + timeout
        response = self._service.infer(request, deadline=deadline)
        if deadline is not None and time.perf_counter() > deadline:
            raise LateError(f"the answer came later than {timeout:g} s; raise the deadline")
        return response

    def close(self) -> None:
        """Nothing to close."""


class AsyncLocalTransport:
    """The same for asyncio; the network runs in a worker thread."""

    address = "local"

    def __init__(self, transport: LocalTransport) -> None:
        self._transport = transport

    async def describe(self, name: str, version: str = "", timeout: float | None = None) -> ModelInfo:
        return self._transport.describe(name, version)

    async def infer(self, request: InferenceRequest, timeout: float | None = None) -> InferenceResponse:
        return await asyncio.to_thread(self._transport.infer, request, timeout)

    async def aclose(self) -> None:
        """Nothing to close."""
