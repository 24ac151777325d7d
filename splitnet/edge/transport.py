"""How a request reaches the service: a small contract, so that a test or an embedded service can stand in."""

from __future__ import annotations

from typing import Protocol

from splitnet.wire.exchange import InferenceRequest, InferenceResponse, ModelInfo, ModelSummary


class Transport(Protocol):
    """A blocking way to the service. Every method raises ServiceError subclasses; `timeout` is in seconds."""

    address: str

    def models(self, timeout: float | None = None) -> list[ModelSummary]: ...

    def describe(self, name: str, version: str = "", timeout: float | None = None) -> ModelInfo: ...

    def infer(self, request: InferenceRequest, timeout: float | None = None) -> InferenceResponse: ...

    def close(self) -> None: ...


class AsyncTransport(Protocol):
    """The same for asyncio."""

    address: str

    async def describe(self, name: str, version: str = "", timeout: float | None = None) -> ModelInfo: ...

    async def infer(self, request: InferenceRequest, timeout: float | None = None) -> InferenceResponse: ...

    async def aclose(self) -> None: ...
