"""The one place that builds gRPC channels and servers, and that turns gRPC's errors into ours."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import grpc

from splitnet.errors import SERVICE_ERRORS, OverloadedError, ServiceError, UsageError
from splitnet.v1 import inference_pb2 as pb
from splitnet.wire.credentials import Credentials
from splitnet.wire.exchange import DEFAULT_MAX_FRAME_BYTES

DETAILS = "grpc-status-details-bin"
"""Where gRPC carries a google.rpc.Status with details, such as when to try again."""

MESSAGE_OVERHEAD = 64 * 1024
"""Bytes that a message may hold beside its frame: names, tasks, protobuf's own fields."""

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""Largest answer that a client takes."""

KEEPALIVE_SECONDS = 20
"""Silence after which a client asks whether its server is still there; half of that again, and it is not."""

_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


def client_options() -> list[tuple[str, int]]:
    """What a client accepts, and how it notices a connection that died without a word (NAT, roaming, a pulled cable).

    The server's own limit of a frame comes with `GetModel`; gRPC would end the whole stream over one large message.
    """
    return [
        ("grpc.max_send_message_length", -1),
        ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
        ("grpc.keepalive_time_ms", 1000 * KEEPALIVE_SECONDS),
        ("grpc.keepalive_timeout_ms", 1000 * KEEPALIVE_SECONDS // 2),
    ]


def server_options(
    max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES, connections: int = 0, streams_per_connection: int = 0
) -> list[tuple[str, int]]:
    """What a server accepts: gRPC's own default of 4 MiB would refuse early cuts of large images.

    Without SO_REUSEPORT, which lets a second server share the port in silence. Devices that vanish are noticed.
    `connections` and `streams_per_connection` of 0 are no bound.
    """
    bounds = {
        "grpc.max_allowed_incoming_connections": connections,
        "grpc.max_concurrent_streams": streams_per_connection,
    }
    return [
        *((name, bound) for name, bound in bounds.items() if bound),
        ("grpc.max_receive_message_length", max_frame_bytes + MESSAGE_OVERHEAD),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_time_ms", 3000 * KEEPALIVE_SECONDS),
        ("grpc.keepalive_timeout_ms", 1000 * KEEPALIVE_SECONDS),
        ("grpc.http2.min_ping_interval_without_data_ms", 500 * KEEPALIVE_SECONDS),
    ]


def parse_address(address: str, *, what: str) -> str:
    """Check HOST:PORT (IPv6 hosts in brackets) and return it.

    Raises
    ------
    UsageError
        naming `what` (an option) and the value.
    """
    host, separator, port = address.rpartition(":")
    bare = host.startswith("[") == host.endswith("]") and (":" not in host or host.startswith("["))
    if not separator or not host or not bare or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"{what} {address!r} is not HOST:PORT; give for example 127.0.0.1:50051")
    return address


def open_channel(address: str, credentials: Credentials) -> grpc.Channel:
    """A channel for callers that block. Raises UsageError, as `Credentials.tls`."""
    secured = credentials.tls(address)
    if secured is None:
        return grpc.insecure_channel(address, options=client_options())
    return grpc.secure_channel(address, secured, options=client_options())


def open_aio_channel(
    address: str, credentials: Credentials, options: Sequence[tuple[str, int]] = ()
) -> grpc.aio.Channel:
    """The same for asyncio; `options` come after the usual ones, so they win."""
    secured = credentials.tls(address)
    told = [*client_options(), *options]
    if secured is None:
        return grpc.aio.insecure_channel(address, options=told)
    return grpc.aio.secure_channel(address, secured, options=told)


def from_rpc_error(error: grpc.RpcError, address: str) -> ServiceError:
    """The exception of ours that stands for a failed call."""
    code = error.code() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else grpc.StatusCode.UNKNOWN
    details = (error.details() if isinstance(error, grpc.Call | grpc.aio.AioRpcError) else str(error)) or code.name
    known = service_error(code.name, details, address)
    if isinstance(known, OverloadedError) and isinstance(error, grpc.Call | grpc.aio.AioRpcError):
        known.retry_after = _retry_after(error.trailing_metadata())
    return known


def _retry_after(metadata: Any) -> float | None:
    """Seconds of a google.rpc.RetryInfo; None where there is none, or nothing that can be read."""
    from google.protobuf.message import DecodeError
    from google.rpc import error_details_pb2, status_pb2

    hint = error_details_pb2.RetryInfo()
    for key, value in metadata or ():
        if key == DETAILS:
            with contextlib.suppress(DecodeError):
                if any(one.Unpack(hint) for one in status_pb2.Status.FromString(value).details):
                    seconds: float = hint.retry_delay.ToTimedelta().total_seconds()
                    return max(0.0, seconds)
    return None


def from_stream_error(error: pb.Error, address: str) -> ServiceError:
    """The exception of ours that stands for an error message on a stream."""
    known = service_error(_CODES.get(error.code, "UNKNOWN"), error.message, address)
    if isinstance(known, OverloadedError) and error.retry_after > 0:
        known.retry_after = error.retry_after
    return known


def service_error(code: str, details: str, address: str) -> ServiceError:
    """As `from_rpc_error`, from a status code's name."""
    known = SERVICE_ERRORS.get(code, ServiceError)
    line = " ".join(details.split())
    match code:
        case "UNAVAILABLE" if "CERTIFICATE_VERIFY_FAILED" in line:
            line = f"the certificate of the server at {address} is not to be trusted; check --ca and the host ({line})"
        case "UNAVAILABLE" if "drain" not in line:
            line = f"no server answers at {address}; is `splitnet serve` running there? ({line})"
        case "UNIMPLEMENTED":
            line = f"the server at {address} does not speak splitnet.v1; check host and port ({line})"
        case "DEADLINE_EXCEEDED":
            line = f"the server at {address} did not answer before the deadline; raise --deadline or look at its load"
    return known(line)


def code_of(error: ServiceError) -> grpc.StatusCode:
    """gRPC's status code for an error of ours."""
    return grpc.StatusCode[error.code]
