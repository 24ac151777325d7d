"""The gRPC server over a real socket."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

import featcodec
from featcodec.testing import hostile_frames
from splitnet.bundle import Bundle
from splitnet.cloud import InferenceService
from splitnet.cloud.batching import BatchSettings, Job, Outcome
from splitnet.cloud.observe.health import SERVICE_NAME
from splitnet.cloud.server import Server
from splitnet.cloud.servicer import STREAM_WINDOW
from splitnet.errors import UsageError
from splitnet.v1 import inference_pb2 as pb
from splitnet.v1 import inference_pb2_grpc as pb_grpc
from splitnet.wire.channels import client_options


class Held(InferenceService):
    """A service whose workers wait until the test lets them go on."""

    def __init__(self, bundle: Bundle, batching: BatchSettings | None = None) -> None:
        super().__init__([bundle], batching=batching or BatchSettings(max_batch=1))
        self.go = threading.Event()
        self.calls = 0

    def run(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        self.calls += len(jobs)
        assert self.go.wait(20)
        return super().run(jobs)


@pytest.fixture(scope="module")
def service(lite0_bundle: Bundle) -> InferenceService:
    return InferenceService([lite0_bundle])


@pytest.fixture
async def server(service: InferenceService) -> AsyncIterator[Server]:
    async with Server(service) as running:
        yield running


@pytest.fixture
async def stub(server: Server) -> AsyncIterator[pb_grpc.InferenceServiceAsyncStub]:
    async with grpc.aio.insecure_channel(server.address, options=client_options()) as channel:
        yield pb_grpc.InferenceServiceStub(channel)


@pytest.fixture
def message(lite0_bundle: Bundle) -> pb.InferRequest:
    features = np.random.default_rng(7).standard_normal((1, 80, 14, 14), dtype=np.float32)
    return pb.InferRequest(
        model="efficientnet-lite0",
        fingerprint=bytes.fromhex(lite0_bundle.fingerprint),
        cut="block7",
        frame=featcodec.encode(features, "affine:bits=8|zlib"),
    )


async def _code(call: grpc.aio.UnaryUnaryCall[pb.InferRequest, pb.InferResponse]) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    code = caught.value.code()
    assert isinstance(code, grpc.StatusCode)
    return code


async def _held(
    stub: pb_grpc.InferenceServiceAsyncStub, message: pb.InferRequest, service: Held
) -> grpc.aio.UnaryUnaryCall[pb.InferRequest, pb.InferResponse]:
    """A request that a worker has begun and that waits there for `service.go`."""
    call = stub.Infer(message, timeout=20)
    while service.calls < 1:
        await asyncio.sleep(0.001)
    return call


async def test_models_are_listed_and_described(stub: pb_grpc.InferenceServiceAsyncStub, lite0_bundle: Bundle) -> None:
    models = (await stub.ListModels(pb.ListModelsRequest())).models
    assert [(one.name, one.fingerprint.hex()) for one in models] == [("efficientnet-lite0", lite0_bundle.fingerprint)]
    model = await stub.GetModel(pb.GetModelRequest(name="efficientnet-lite0"))
    assert [cut.name for cut in model.cuts] == ["block4", "block7", "block10"]
    assert (model.input.height, list(model.input.mean)) == (224, [127.0, 127.0, 127.0])
    with pytest.raises(grpc.aio.AioRpcError, match="no model 'x' here"):
        await stub.GetModel(pb.GetModelRequest(name="x"))


async def test_unary(stub: pb_grpc.InferenceServiceAsyncStub, message: pb.InferRequest) -> None:
    response = await stub.Infer(message, timeout=20)
    assert [one.WhichOneof("result") for one in response.results] == ["classification", "embedding"]
    assert response.timing.total > 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"frame": b"rubbish"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"model": ""}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"fingerprint": b"short"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"model": "x"}, grpc.StatusCode.NOT_FOUND),
        ({"cut": "x"}, grpc.StatusCode.NOT_FOUND),
        ({"tasks": ["x"]}, grpc.StatusCode.NOT_FOUND),
        ({"fingerprint": bytes(32)}, grpc.StatusCode.FAILED_PRECONDITION),
        ({"frame": bytes(9 << 20)}, grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
async def test_status_codes(
    stub: pb_grpc.InferenceServiceAsyncStub,
    message: pb.InferRequest,
    change: dict[str, object],
    code: grpc.StatusCode,
) -> None:
    fields = {field.name: value for field, value in message.ListFields()} | change
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Infer(pb.InferRequest(**fields), timeout=20)
    assert caught.value.code() is code
    assert "\n" not in str(caught.value.details())


async def test_an_internal_error_keeps_its_detail_to_itself(
    server: Server,
    service: InferenceService,
    stub: pb_grpc.InferenceServiceAsyncStub,
    message: pb.InferRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*args: object, **kwargs: object) -> None:
        raise RuntimeError("secret path")

    monkeypatch.setattr(service, "run", fail)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.Infer(message, timeout=20)
    assert caught.value.code() is grpc.StatusCode.INTERNAL
    assert "secret" not in str(caught.value.details())


async def test_stream_answers_each_by_its_id(stub: pb_grpc.InferenceServiceAsyncStub, message: pb.InferRequest) -> None:
    bad = pb.InferRequest(model=message.model, fingerprint=message.fingerprint, cut="nowhere")

    async def requests() -> AsyncIterator[pb.InferStreamRequest]:
        for number in range(1, 2 * STREAM_WINDOW):
            yield pb.InferStreamRequest(id=number, request=bad if number % 5 == 0 else message)
            await asyncio.sleep(0)

    answers = {reply.id: reply async for reply in stub.InferStream(requests())}
    assert sorted(answers) == list(range(1, 2 * STREAM_WINDOW))
    for number, reply in answers.items():
        if number % 5 == 0:
            assert reply.error.code == grpc.StatusCode.NOT_FOUND.value[0]
            assert "nowhere" in reply.error.message
        else:
            assert len(reply.response.results) == 2


async def test_a_full_queue_is_refused_and_who_gave_up_frees_the_place(
    lite0_bundle: Bundle, message: pb.InferRequest
) -> None:
    service = Held(lite0_bundle, BatchSettings(queue=1, max_batch=1))
    async with (
        Server(service) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub: pb_grpc.InferenceServiceAsyncStub = pb_grpc.InferenceServiceStub(channel)
        running = await _held(stub, message, service)
        assert await _code(stub.Infer(message, timeout=0.05)) is grpc.StatusCode.DEADLINE_EXCEEDED
        waiting = stub.Infer(message, timeout=20)
        while server.in_flight < 2:
            await asyncio.sleep(0.001)
        assert await _code(stub.Infer(message, timeout=20)) is grpc.StatusCode.RESOURCE_EXHAUSTED
        service.go.set()
        assert [len((await call).results) for call in (running, waiting)] == [2, 2]
    assert service.calls == 2


async def test_stop_lets_work_in_flight_end_and_refuses_new(lite0_bundle: Bundle, message: pb.InferRequest) -> None:
    service = Held(lite0_bundle)
    server = Server(service)
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub: pb_grpc.InferenceServiceAsyncStub = pb_grpc.InferenceServiceStub(channel)
        running = await _held(stub, message, service)
        stopping = asyncio.create_task(server.stop(grace=20))
        await asyncio.sleep(0.05)
        assert await _code(stub.Infer(message, timeout=20)) is grpc.StatusCode.UNAVAILABLE
        service.go.set()
        assert len((await running).results) == 2
        await stopping


async def test_bytes_that_are_no_request_are_invalid(server: Server) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        unary: Any = channel.unary_unary(f"/{SERVICE_NAME}/Infer")
        with pytest.raises(grpc.aio.AioRpcError, match=r"is not a splitnet\.v1\.InferRequest") as caught:
            await unary(b"\xff\xff\xff")
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        stream: Any = channel.stream_stream(f"/{SERVICE_NAME}/InferStream")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            [reply async for reply in stream(iter([b"\xff\xff\xff"]))]
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_who_watches_our_health_or_holds_a_stream_does_not_delay_the_end(service: InferenceService) -> None:
    server = Server(service)
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        watch = health.Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        idle: Any = pb_grpc.InferenceServiceStub(channel).InferStream()
        await idle.write(pb.InferStreamRequest(id=1))
        assert (await idle.read()).id == 1
        async with asyncio.timeout(15):
            await server.stop(grace=60)
        watch.cancel()
        idle.cancel()


async def test_the_end_does_not_wait_longer_than_its_grace(lite0_bundle: Bundle, message: pb.InferRequest) -> None:
    service = Held(lite0_bundle)
    server = Server(service)
    await server.start()
    async with grpc.aio.insecure_channel(server.address) as channel:
        stub: pb_grpc.InferenceServiceAsyncStub = pb_grpc.InferenceServiceStub(channel)
        running = await _held(stub, message, service)
        async with asyncio.timeout(15):
            await server.stop(grace=0.1)
        assert await _code(running) in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
    service.go.set()


async def test_health_and_reflection(server: Server) -> None:
    async with grpc.aio.insecure_channel(server.address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)
        for name in ("", SERVICE_NAME):
            reply = await health.Check(health_pb2.HealthCheckRequest(service=name))
            assert reply.status == health_pb2.HealthCheckResponse.SERVING

    def services() -> list[str]:
        with grpc.insecure_channel(server.address) as blocking:
            return list(ProtoReflectionDescriptorDatabase(blocking).get_services())

    assert {SERVICE_NAME, "grpc.health.v1.Health"} <= set(await asyncio.to_thread(services))


async def test_a_taken_port_is_one_clear_line(server: Server, service: InferenceService) -> None:
    with pytest.raises(UsageError, match=r"cannot listen on .*port taken"):
        await Server(service, listen=server.address).start()


async def test_hostile_frames_get_a_status_and_the_server_goes_on(
    stub: pb_grpc.InferenceServiceAsyncStub, message: pb.InferRequest
) -> None:
    # The bundle has no profile: frames that are in order up to the profile they name are refused for that.
    wrong = {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.FAILED_PRECONDITION,
    }
    sent = 0
    for name, frame in hostile_frames():
        hostile = pb.InferRequest()
        hostile.CopyFrom(message)
        hostile.frame = frame
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Infer(hostile, timeout=20)
        assert caught.value.code() in wrong, name
        sent += 1
    assert sent > 3000
    assert len((await stub.Infer(message, timeout=20)).results) == 2


async def test_late_on_a_stream(lite0_bundle: Bundle, message: pb.InferRequest) -> None:
    service = Held(lite0_bundle)
    service.go.set()
    async with Server(service) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub: pb_grpc.InferenceServiceAsyncStub = pb_grpc.InferenceServiceStub(channel)

        async def requests() -> AsyncIterator[pb.InferStreamRequest]:
            yield pb.InferStreamRequest(id=7, request=message, timeout=1e-9)

        replies = [reply async for reply in stub.InferStream(requests())]
    assert [(one.id, one.error.code) for one in replies] == [(7, grpc.StatusCode.DEADLINE_EXCEEDED.value[0])]
