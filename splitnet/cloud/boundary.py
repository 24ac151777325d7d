"""What every RPC of ours has in common: requests that are no protobuf, and failures that are our own fault."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from typing import Any, NoReturn

import grpc
import structlog
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from splitnet.cloud.observe import Observer
from splitnet.errors import FAULT, InvalidRequestError, ServiceError
from splitnet.v1 import admin_pb2 as admin_pb
from splitnet.v1 import inference_pb2 as pb
from splitnet.wire.channels import DETAILS, code_of

_REQUESTS: dict[str, type[Message]] = {
    f"/{service.full_name}/{method.name}": getattr(module, method.input_type.name)
    for module in (pb, admin_pb)
    for service in module.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}
log = structlog.get_logger("splitnet.server")
Context = grpc.aio.ServicerContext[Any, Any]


class Boundary(grpc.aio.ServerInterceptor):
    """Turns errors of ours into status codes, bytes that are no request and exceptions nobody expected among them.

    gRPC would answer both with UNKNOWN and the exception's text. An INTERNAL's detail goes to the log alone. The size
    of what goes out is told to `observer`.
    """

    def __init__(self, observer: Observer | None = None) -> None:
        self._observer = observer or Observer()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Wrap the handlers of our own services; others pass through."""
        handler = await continuation(handler_call_details)
        kind = _REQUESTS.get(str(handler_call_details.method))
        if handler is None or kind is None:
            return handler
        serialise = _counted(handler.response_serializer, self._observer)
        if handler.request_streaming:
            # The handler itself looks for None.
            return grpc.stream_stream_rpc_method_handler(
                _guard_stream(handler.stream_stream), _message_or_none(kind), serialise
            )
        if handler.response_streaming:
            streamed: Any = _guard_answers(handler.unary_stream, kind)
            return grpc.unary_stream_rpc_method_handler(streamed, None, serialise)
        wrapped: Any = _guard_unary(handler.unary_unary, kind)
        return grpc.unary_unary_rpc_method_handler(wrapped, None, serialise)


def _counted(serialise: Callable[[Any], bytes], observer: Observer) -> Callable[[Any], bytes]:
    def counted(message: Any) -> bytes:
        data = serialise(message)
        observer.sent(len(data))
        return data

    return counted


def _guard_unary(call: Any, kind: type[Message]) -> Callable[[bytes, Context], Awaitable[Any]]:
    async def guarded(data: bytes, context: Context) -> Any:
        try:
            return await call(_parse(kind, data), context)
        except Exception as error:  # noqa: BLE001 - the boundary: any defect is INTERNAL to the client, not a lost call
            await refuse(context, error)

    return guarded


def _guard_answers(call: Any, kind: type[Message]) -> Callable[[bytes, Context], Awaitable[None]]:
    async def guarded(data: bytes, context: Context) -> None:
        try:
            # Closed here and not whenever it is collected: what it holds is free at once when the client is gone.
            async with aclosing(call(_parse(kind, data), context)) as answers:
                async for answer in answers:
                    await context.write(answer)
        except Exception as error:  # noqa: BLE001 - as above
            await refuse(context, error)

    return guarded


def _guard_stream(call: Any) -> Callable[[Any, Context], Awaitable[None]]:
    async def guarded(requests: Any, context: Context) -> None:
        # Written here instead of passed through another generator: each layer costs every message of the stream.
        try:
            async for answer in call(requests, context):
                await context.write(answer)
        except Exception as error:  # noqa: BLE001 - as above
            await refuse(context, error)

    return guarded


def _parse(kind: type[Message], data: bytes) -> Message:
    try:
        return kind.FromString(data)
    except DecodeError:
        raise InvalidRequestError(f"the request is not a {kind.DESCRIPTOR.full_name}") from None


def _message_or_none(kind: type[Message]) -> Callable[[bytes], Message | None]:
    def parse(data: bytes) -> Message | None:
        try:
            return kind.FromString(data)
        except DecodeError:
            return None

    return parse


async def refuse(context: Context, error: Exception) -> NoReturn:
    """End a call with the status that stands for `error`; what is no answer of ours is INTERNAL, its detail logged."""
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if isinstance(error, ServiceError):
        if error.retry_after:
            context.set_trailing_metadata(((DETAILS, retry_details(error, error.retry_after)),))
        await context.abort(code_of(error), str(error))
    else:
        log.error("call failed", exc_info=error)
        await context.abort(grpc.StatusCode.INTERNAL, FAULT)
    raise AssertionError("abort always raises")


def retry_details(error: ServiceError, retry: float) -> bytes:
    """A google.rpc.Status with RetryInfo, as it travels under the metadata key `DETAILS`; `retry` is in seconds."""
    status = status_pb2.Status(code=code_of(error).value[0], message=str(error))
    hint = error_details_pb2.RetryInfo()
    hint.retry_delay.FromTimedelta(timedelta(seconds=retry))
    status.details.add().Pack(hint)
    data: bytes = status.SerializeToString()
    return data
