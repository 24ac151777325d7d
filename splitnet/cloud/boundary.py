"""What every RPC of ours has in common: requests that are no protobuf, and failures that are our own fault."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import structlog
from google.protobuf.message import DecodeError, Message

from splitnet.v1 import inference_pb2 as pb

_SERVICE = f"/{pb.DESCRIPTOR.services_by_name['InferenceService'].full_name}/"
_REQUESTS: dict[str, type[Message]] = {
    _SERVICE + method.name: getattr(pb, method.input_type.name)
    for method in pb.DESCRIPTOR.services_by_name["InferenceService"].methods
}
log = structlog.get_logger("splitnet.server")
Context = grpc.aio.ServicerContext[Any, Any]


class Boundary(grpc.aio.ServerInterceptor):
    """Answers INVALID_ARGUMENT to bytes that are not the request's message, INTERNAL to an exception nobody expected.

    gRPC would answer both with UNKNOWN and the exception's text. An INTERNAL's detail goes to the log alone.
    """

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handlers of InferenceService; other services pass through."""
        handler = await continuation(handler_call_details)
        kind = _REQUESTS.get(str(handler_call_details.method))
        if handler is None or kind is None:
            return handler
        if handler.request_streaming:
            # Each layer around a stream costs every message on it: the handler itself looks for None.
            return grpc.stream_stream_rpc_method_handler(
                handler.stream_stream, _message_or_none(kind), handler.response_serializer
            )
        wrapped: Any = _guard_unary(handler.unary_unary, kind)
        return grpc.unary_unary_rpc_method_handler(wrapped, None, handler.response_serializer)


def _guard_unary(call: Any, kind: type[Message]) -> Callable[[bytes, Context], Awaitable[Any]]:
    async def guarded(data: bytes, context: Context) -> Any:
        try:
            return await call(kind.FromString(data), context)
        except DecodeError:
            await _refuse(context, kind)
        except grpc.aio.AbortError:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: any defect is INTERNAL to the client, not a lost call
            await fail(context, error)

    return guarded


def _message_or_none(kind: type[Message]) -> Callable[[bytes], Message | None]:
    def parse(data: bytes) -> Message | None:
        try:
            return kind.FromString(data)
        except DecodeError:
            return None

    return parse


async def _refuse(context: Context, kind: type[Message]) -> None:
    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"the request is not a {kind.DESCRIPTOR.full_name}")


async def fail(context: Context, error: Exception) -> None:
    """Answer INTERNAL; the detail goes to the log."""
    log.error("call failed", exc_info=error)
    await context.abort(grpc.StatusCode.INTERNAL, "the service failed; its log says why")
