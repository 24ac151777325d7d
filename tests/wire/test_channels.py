"""Addresses, options and the translation of errors."""

import grpc
import pytest

from splitnet.cloud.boundary import retry_details
from splitnet.errors import SERVICE_ERRORS, OverloadedError, ServiceError, UsageError
from splitnet.wire.channels import (
    DETAILS,
    client_options,
    code_of,
    from_rpc_error,
    parse_address,
    server_options,
    service_error,
)


@pytest.mark.parametrize("address", ["127.0.0.1:50051", "localhost:1", "[::1]:65535", "edge.example.org:443"])
def test_good_addresses(address: str) -> None:
    assert parse_address(address, what="--server") == address


@pytest.mark.parametrize(
    "address", ["", "localhost", ":50051", "host:", "host:port", "host:65536", "::1:5", "h:-1", "h:٣"]
)
def test_bad_addresses_are_named(address: str) -> None:
    with pytest.raises(UsageError, match=r"--server .* is not HOST:PORT"):
        parse_address(address, what="--server")


def test_a_second_server_does_not_share_the_port() -> None:
    assert dict(server_options())["grpc.so_reuseport"] == 0


def test_messages_may_be_larger_than_grpcs_default() -> None:
    assert dict(server_options(5 << 20))["grpc.max_receive_message_length"] > 5 << 20
    assert dict(client_options())["grpc.max_send_message_length"] == -1


def test_a_server_tolerates_how_often_clients_ask_for_it() -> None:
    asked = dict(client_options())["grpc.keepalive_time_ms"]
    assert dict(server_options())["grpc.http2.min_ping_interval_without_data_ms"] < asked


def test_every_error_class_has_a_grpc_code_and_comes_back_as_itself() -> None:
    for code, kind in SERVICE_ERRORS.items():
        assert code_of(kind("x")).name == code
        assert type(service_error(code, "details", "host:1")) is kind
    assert code_of(ServiceError("x")) is grpc.StatusCode.UNKNOWN
    assert type(service_error("DATA_LOSS", "details", "host:1")) is ServiceError


def test_errors_are_one_line_with_the_address() -> None:
    text = str(service_error("UNAVAILABLE", "failed\nto connect", "host:1"))
    assert "host:1" in text
    assert "splitnet serve" in text
    assert "\n" not in text


def _refused(code: grpc.StatusCode, details: bytes) -> ServiceError:
    trailing = grpc.aio.Metadata((DETAILS, details))
    return from_rpc_error(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, "full"), "somewhere:1")


def test_a_call_that_is_refused_says_when_to_come_back() -> None:
    full = OverloadedError("full", retry_after=1.5)
    known = _refused(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_details(full, 1.5))
    assert isinstance(known, OverloadedError)
    assert known.retry_after == 1.5


@pytest.mark.parametrize("details", [b"", b"\xff\xff\xff", b"\x08\x08"])
def test_details_that_say_nothing(details: bytes) -> None:
    known = _refused(grpc.StatusCode.RESOURCE_EXHAUSTED, details)
    assert isinstance(known, OverloadedError)
    assert known.retry_after is None
