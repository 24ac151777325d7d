"""What a service tells its observer, and what its health says."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

import featcodec
from splitnet.bundle import Bundle
from splitnet.cloud import InferenceService
from splitnet.cloud.observe.health import SERVICE_NAME
from splitnet.cloud.observe.status import status
from splitnet.cloud.observe.tally import Tally
from splitnet.cloud.repository.state import State, Version
from splitnet.cloud.server import Server
from splitnet.errors import InvalidRequestError, LateError, ServiceError, UnknownError
from splitnet.v1 import inference_pb2 as pb
from splitnet.v1 import inference_pb2_grpc as pb_grpc
from splitnet.wire import messages
from splitnet.wire.exchange import InferenceRequest

KEY = ("efficientnet-lite0", "1", "block7")
HEALTH = health_pb2.HealthCheckResponse


@pytest.fixture
def request_(lite0_bundle: Bundle) -> InferenceRequest:
    features = np.random.default_rng(7).standard_normal((1, 80, 14, 14), dtype=np.float32)
    return InferenceRequest(
        "efficientnet-lite0", lite0_bundle.fingerprint, "block7", featcodec.encode(features, "affine:bits=8|zlib")
    )


async def _try(service: InferenceService, request: InferenceRequest, **options: Any) -> None:
    with pytest.raises(ServiceError):
        await service.submit(request, **options)


async def test_submit_tells_each_request_once(lite0_bundle: Bundle, request_: InferenceRequest) -> None:
    tally = Tally()
    service = InferenceService([lite0_bundle], observer=tally)
    again = dataclasses.replace(request_, request_id=bytes(range(16)))
    await _try(service, request_, arrived=1.0, deadline=1.1)
    await service.submit(request_)
    await service.submit(again)
    await service.submit(again)
    await _try(service, dataclasses.replace(request_, frame=b"rubbish"))
    await _try(service, dataclasses.replace(request_, model="made-up"))
    service.submit(request_).cancel()
    await asyncio.sleep(0)
    service.close()
    (codes,) = [series.codes for series in tally.series.values()]
    assert list(tally.series) == [KEY]
    assert codes == {"OK": 2, "INVALID_ARGUMENT": 1, "DEADLINE_EXCEEDED": 1, "CANCELLED": 1}
    assert tally.refusals == {"NOT_FOUND": 1}
    assert service.repeated == 1
    assert tally.series[KEY].batch_sizes.count >= 3


def test_infer_tells_each_request_once(lite0_bundle: Bundle, request_: InferenceRequest) -> None:
    tally = Tally()
    service = InferenceService([lite0_bundle], observer=tally)
    service.infer(request_)
    with pytest.raises(LateError):
        service.infer(request_, deadline=0.0)
    with pytest.raises(InvalidRequestError):
        service.infer(dataclasses.replace(request_, frame=b""))
    with pytest.raises(UnknownError):
        service.infer(dataclasses.replace(request_, cut="made-up"))
    assert tally.series[KEY].codes == {"OK": 1, "DEADLINE_EXCEEDED": 1, "INVALID_ARGUMENT": 1}
    assert tally.refusals == {"NOT_FOUND": 1}


async def test_the_server_tells_bytes_streams_and_what_it_cannot_read(
    lite0_bundle: Bundle, request_: InferenceRequest
) -> None:
    tally = Tally()
    async with (
        Server(InferenceService([lite0_bundle], observer=tally)) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        stub: Any = pb_grpc.InferenceServiceStub(channel)
        answer = await stub.Infer(messages.request_to_message(request_), timeout=20)
        assert tally.bytes_out == answer.ByteSize()
        stream = stub.InferStream()
        await stream.write(pb.InferStreamRequest(id=1, request=pb.InferRequest()))
        assert (await stream.read()).error.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
        assert tally.streams == 1
        stream.cancel()
    assert tally.streams == 0
    assert tally.refusals == {"INVALID_ARGUMENT": 1}


async def test_health_follows_the_models(lite0_bundle: Bundle) -> None:
    service = InferenceService()
    server = Server(service)
    await server.start()
    name = f"{SERVICE_NAME}/efficientnet-lite0"
    async with grpc.aio.insecure_channel(server.address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)

        async def status(service: str) -> int:
            return int((await health.Check(health_pb2.HealthCheckRequest(service=service))).status)

        assert (await status(""), server.ready) == (HEALTH.NOT_SERVING, False)
        with pytest.raises(grpc.aio.AioRpcError):
            await status(name)
        await asyncio.to_thread(lambda: service.served.put(service.load(lite0_bundle)))
        watch = health.Watch(health_pb2.HealthCheckRequest(service=name))
        async with asyncio.timeout(10):
            while (await watch.read()).status != HEALTH.SERVING:
                pass
        assert [await status(one) for one in ("", SERVICE_NAME, name)] == [HEALTH.SERVING] * 3
        assert server.ready
        service.served.remove("efficientnet-lite0", "1")
        async with asyncio.timeout(10):
            assert (await watch.read()).status == HEALTH.NOT_SERVING
        assert not server.ready
        watch.cancel()
        await server.stop(1.0)
    service.served.put(service.load(lite0_bundle))
    assert not server.ready


def test_versions_that_are_not_served_are_shown_with_the_reason(lite0_bundle: Bundle) -> None:
    service, name = InferenceService([lite0_bundle]), "efficientnet-lite0"
    known = [
        Version(name, "1", State.SERVING, error="the newer files are broken"),
        Version(name, "2", State.FAILED, error="\x1b[31mbroken"),
        Version("other", "1", State.LOADING),
    ]
    models = status(service, Tally(), True, known)["models"]
    assert [(one["name"], one["version"], one["state"]) for one in models] == [
        (name, "1", "serving"),
        (name, "2", "failed"),
        ("other", "1", "loading"),
    ]
    assert [one["error"] for one in models] == ["the newer files are broken", "\N{REPLACEMENT CHARACTER}[31mbroken", ""]
