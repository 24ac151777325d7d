"""A replica and Serve's proxy as far as they are ours: what they make of requests, without Ray."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from enum import Enum
from typing import Any
from unittest.mock import Mock

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2, status_pb2

import featcodec
from splitnet.bundle import Bundle
from splitnet.cloud.ray_ingress import TIME_LEFT, add_inference_service
from splitnet.cloud.ray_replica import Replica, ReplicaSettings
from splitnet.errors import FAULT, ConfigError, InternalError, OverloadedError, UsageError
from splitnet.v1 import inference_pb2 as pb
from splitnet.wire.channels import DETAILS


class Context:
    """What Serve hands to a replica, and what gRPC hands to a proxy."""

    def __init__(self, code: Any = None, details: str = "", left: float | None = None, **metadata: str) -> None:
        self._code, self._details, self._left = code, details, left
        self.metadata = [(key.replace("_", "-"), value) for key, value in metadata.items()]
        self.trailing: list[Any] = []

    def invocation_metadata(self) -> list[tuple[str, str]]:
        return self.metadata

    def peer(self) -> str:
        return "ipv4:192.0.2.1:4711"

    def auth_context(self) -> dict[str, Any]:
        return {}

    def time_remaining(self) -> float | None:
        return self._left

    def code(self) -> Any:
        return self._code

    def details(self) -> str:
        return self._details

    def set_code(self, code: grpc.StatusCode) -> None:
        self._code = code

    def set_details(self, details: str) -> None:
        self._details = details

    def set_trailing_metadata(self, pairs: list[Any]) -> None:
        self.trailing += pairs


@pytest.fixture(scope="module")
def settings(lite0_bundle: Bundle) -> ReplicaSettings:
    return ReplicaSettings(bundles=(lite0_bundle.path,), stream_seconds=0.5, stuck_seconds=0.1)


@pytest.fixture
async def replica(settings: ReplicaSettings) -> AsyncIterator[Replica]:
    made = Replica(settings)
    yield made
    made.__del__()


@pytest.fixture(scope="module")
def message(lite0_bundle: Bundle) -> pb.InferRequest:
    cut = lite0_bundle.cut("block10")
    features = np.random.default_rng(7).standard_normal((1, *cut.shape), dtype=np.float32)
    return pb.InferRequest(
        model=lite0_bundle.manifest.name,
        fingerprint=bytes.fromhex(lite0_bundle.fingerprint),
        cut=cut.name,
        frame=featcodec.encode(features, "affine:bits=8|zlib"),
    )


async def test_a_replica_answers(replica: Replica, message: pb.InferRequest, lite0_bundle: Bundle) -> None:
    models = await replica.ListModels(pb.ListModelsRequest(), Context())
    assert [one.name for one in models.models] == [lite0_bundle.manifest.name]
    described = await replica.GetModel(pb.GetModelRequest(name=models.models[0].name), Context())
    assert described.summary == models.models[0]
    context = Context()
    assert (await replica.Infer(message, context)).results
    assert context.code() is None
    await replica.check_health()


async def test_refusals_are_status_codes(replica: Replica, message: pb.InferRequest) -> None:
    context = Context()
    assert not (await replica.Infer(pb.InferRequest(), context)).results
    assert context.code() is grpc.StatusCode.INVALID_ARGUMENT
    context = Context()
    await replica.GetModel(pb.GetModelRequest(name="other"), context)
    assert (context.code(), "other" in context.details()) == (grpc.StatusCode.NOT_FOUND, True)
    context = Context(splitnet_time_left="0")
    await replica.Infer(message, context)
    assert context.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("error", "code", "details"),
    [
        (RuntimeError("secret"), grpc.StatusCode.INTERNAL, FAULT),
        (InternalError("secret"), grpc.StatusCode.INTERNAL, FAULT),
        (OverloadedError("full", retry_after=1.5), grpc.StatusCode.RESOURCE_EXHAUSTED, "full"),
    ],
)
async def test_faults_have_no_detail_and_overload_has_its_hint(
    replica: Replica, monkeypatch: pytest.MonkeyPatch, error: Exception, code: grpc.StatusCode, details: str
) -> None:
    async def fail(*_: Any) -> Any:
        raise error

    monkeypatch.setattr(replica._servicer, "Infer", fail)
    context = Context()
    await replica.Infer(pb.InferRequest(), context)
    assert (context.code(), context.details()) == (code, details)
    assert len(context.trailing) == isinstance(error, OverloadedError)
    for key, value in context.trailing:
        assert key == DETAILS
        hint = error_details_pb2.RetryInfo()
        status_pb2.Status.FromString(value).details[0].Unpack(hint)
        assert hint.retry_delay.ToTimedelta().total_seconds() == 1.5


async def test_a_stream_answers_and_ends_in_its_time(replica: Replica, message: pb.InferRequest) -> None:
    async def requests() -> AsyncIterator[pb.InferStreamRequest]:
        for number in range(3):
            yield pb.InferStreamRequest(id=number, request=message)
        await asyncio.sleep(60)

    answers = [answer async for answer in replica.InferStream(requests(), Context())]
    assert sorted(answer.id for answer in answers) == [0, 1, 2]
    assert all(answer.WhichOneof("outcome") == "response" for answer in answers)


async def test_a_replica_that_answers_nothing_is_unhealthy(
    replica: Replica, monkeypatch: pytest.MonkeyPatch, message: pb.InferRequest
) -> None:
    monkeypatch.setattr(type(replica._service), "in_flight", property(lambda _: 3))
    await asyncio.sleep(0.2)
    with pytest.raises(InternalError, match="3 requests wait"):
        await replica.check_health()


def test_settings(tmp_path: Any) -> None:
    with pytest.raises(UsageError, match="nothing to serve"):
        _ = ReplicaSettings().service
    with pytest.raises(ConfigError):
        _ = ReplicaSettings(config=tmp_path / "none.toml").service
    (tmp_path / "serve.toml").write_text(f'bundles = ["{tmp_path}"]\nthreads = 3\n[batching]\nqueue = 5\n')
    service = ReplicaSettings(config=tmp_path / "serve.toml", queue=7).service
    assert (service.threads, service.batching.queue, service.bundles) == (3, 7, (tmp_path,))


class Kind(Enum):
    """As Serve's `gRPCStreamingType`."""

    UNARY_UNARY = "unary_unary"
    STREAM_STREAM = "stream_stream"


class Proxy:
    """As Serve's gRPC server: every handler is made by `service_handler_factory`."""

    def __init__(self, outcome: tuple[Any, str]) -> None:
        self.outcome = outcome
        self.service_handler_factory: Callable[..., Any] = self._make
        self.handlers: dict[Kind, Any] = {}
        self.seen: list[tuple[str, str]] = []

    def _make(self, *, service_method: str, streaming_type: Kind) -> Any:
        async def unary(request: Any, context: Any) -> bytes:
            self.seen = list(context.invocation_metadata())
            context.set_code(self.outcome[0])
            context.set_details(self.outcome[1])
            return b""

        async def stream(request: Any, context: Any) -> AsyncIterator[bytes]:
            yield await unary(request, context)

        return unary if streaming_type is Kind.UNARY_UNARY else stream

    def add_generic_rpc_handlers(self, handlers: Any) -> None:
        for kind in Kind:
            self.handlers[kind] = self.service_handler_factory(service_method="/x/y", streaming_type=kind)

    def add_registered_method_handlers(self, *_: Any) -> None:
        """The same handlers once more."""


@pytest.mark.parametrize(
    ("code", "details", "becomes"),
    [
        (grpc.StatusCode.INTERNAL, "The actor died unexpectedly", grpc.StatusCode.UNAVAILABLE),
        (13, "The actor died unexpectedly", grpc.StatusCode.UNAVAILABLE),
        (grpc.StatusCode.INTERNAL, FAULT, grpc.StatusCode.INTERNAL),
        (grpc.StatusCode.NOT_FOUND, "no such model", grpc.StatusCode.NOT_FOUND),
    ],
)
@pytest.mark.parametrize("kind", Kind)
async def test_a_lost_replica_is_unavailable_and_a_fault_stays_one(
    code: Any, details: str, becomes: grpc.StatusCode, kind: Kind
) -> None:
    proxy = Proxy((code, details))
    original = proxy.service_handler_factory
    add_inference_service(Mock(), proxy)
    assert proxy.service_handler_factory == original
    context = Context(left=2.5, application="splitnet", splitnet_time_left="99")
    call = proxy.handlers[kind](None, context)
    if kind is Kind.UNARY_UNARY:
        await call
    else:
        assert [one async for one in call] == [b""]
    assert context.code() is becomes
    assert ("actor" in context.details()) is False
    assert proxy.seen == [("application", "splitnet"), (TIME_LEFT, "2.500000")]
