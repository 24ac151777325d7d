"""What Ray Serve's gRPC proxy has to do for us: keep deadlines, and tell a lost replica from a fault of ours.

Serve imports `add_inference_service` in each proxy, by the name in `gRPCOptions.grpc_servicer_functions`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import grpc

from splitnet.errors import FAULT
from splitnet.v1 import inference_pb2_grpc as pb_grpc

SERVICER_FUNCTION = f"{__name__}.add_inference_service"
TIME_LEFT = "splitnet-time-left"
"""Metadata key under which a replica is told how many seconds the client still waits."""

_LOST = "the replica that had this request is gone; send it again"
_INTERNAL = (grpc.StatusCode.INTERNAL, grpc.StatusCode.INTERNAL.value[0])


def add_inference_service(servicer: Any, server: Any) -> None:
    """As the generated `add_InferenceServiceServicer_to_server`, on the server of one of Serve's proxies."""
    make = server.service_handler_factory

    def guarded(service_method: str, streaming_type: Any) -> Callable[[Any, Any], Any]:
        call = make(service_method=service_method, streaming_type=streaming_type)
        return _stream(call) if streaming_type.value.endswith("stream") else _unary(call)

    server.service_handler_factory = guarded
    try:
        pb_grpc.add_InferenceServiceServicer_to_server(servicer, server)
    finally:
        server.service_handler_factory = make


class _Context:
    """A call's context whose metadata also holds the time left; Serve hands replicas a copy without the deadline."""

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def invocation_metadata(self) -> tuple[Any, ...]:
        """What the client sent, and `TIME_LEFT`."""
        sent = tuple(pair for pair in self._context.invocation_metadata() or () if pair[0] != TIME_LEFT)
        left = self._context.time_remaining()
        return sent if left is None else (*sent, (TIME_LEFT, f"{left:.6f}"))


def _unary(call: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    async def handle(request: Any, context: Any) -> Any:
        answer = await call(request, _Context(context))
        _hide(context)
        return answer

    return handle


def _stream(call: Callable[[Any, Any], Any]) -> Callable[[Any, Any], AsyncIterator[Any]]:
    async def handle(requests: Any, context: Any) -> AsyncIterator[Any]:
        async for answer in call(requests, _Context(context)):
            yield answer
        _hide(context)

    return handle


def _hide(context: Any) -> None:
    """A replica that died is no defect and may be tried again; Serve's own text would also show its stack.

    `FAULT` is the one text with which a replica says INTERNAL: with any other it is Serve that speaks.
    """
    if context.code() in _INTERNAL and _text(context.details()) != FAULT:
        context.set_code(grpc.StatusCode.UNAVAILABLE)
        context.set_details(_LOST)


def _text(details: str | bytes | None) -> str:
    return details.decode("utf-8", "replace") if isinstance(details, bytes) else details or ""
