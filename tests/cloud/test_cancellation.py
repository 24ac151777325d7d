"""Over real sockets: a thousand requests that nobody waits for any more do not reach the network."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import grpc
import numpy as np
import pytest

import featcodec
from splitnet.bundle import Bundle
from splitnet.cloud import InferenceService
from splitnet.cloud.access.caller import ANYONE, Caller
from splitnet.cloud.batching import Answer, BatchSettings, Job, Outcome
from splitnet.cloud.server import Server
from splitnet.v1 import inference_pb2 as pb
from splitnet.v1 import inference_pb2_grpc as pb_grpc
from splitnet.wire.exchange import InferenceRequest


class Counting(InferenceService):
    """Counts the requests that reach the network; the first one waits until the test lets it go on."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__([bundle], batching=BatchSettings(queue=2000))
        self.go = threading.Event()
        self.ran: list[bytes] = []
        self.asked: list[bytes] = []

    def submit(
        self,
        request: InferenceRequest,
        caller: Caller = ANYONE,
        *,
        arrived: float | None = None,
        deadline: float | None = None,
    ) -> Answer:
        self.asked.append(request.request_id)
        return super().submit(request, caller, arrived=arrived, deadline=deadline)

    def run(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        self.ran += [job.request.request_id for job in jobs]
        assert self.go.wait(30)
        return super().run(jobs)


@pytest.fixture
def message(lite0_bundle: Bundle) -> pb.InferRequest:
    return pb.InferRequest(
        model="efficientnet-lite0",
        fingerprint=bytes.fromhex(lite0_bundle.fingerprint),
        cut="block7",
        frame=featcodec.encode(np.zeros((1, 80, 14, 14), np.float32), "affine:bits=4|zlib"),
    )


def _number(number: int) -> bytes:
    return number.to_bytes(16, "big")


def _numbered(message: pb.InferRequest, number: int) -> pb.InferRequest:
    copy = pb.InferRequest()
    copy.CopyFrom(message)
    copy.request_id = _number(number)
    return copy


async def test_expired_and_cancelled_requests_do_not_reach_the_network(
    lite0_bundle: Bundle, message: pb.InferRequest
) -> None:
    service = Counting(lite0_bundle)
    async with Server(service) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub: pb_grpc.InferenceServiceAsyncStub = pb_grpc.InferenceServiceStub(channel)
        first = stub.Infer(_numbered(message, 1), timeout=60)
        while not service.ran:
            await asyncio.sleep(0.001)
        cancelled = [stub.Infer(_numbered(message, 1000 + number), timeout=60) for number in range(500)]
        expired = [stub.Infer(_numbered(message, 2000 + number), timeout=0.4) for number in range(500)]
        while service.in_flight < 1001 and not expired[-1].done():
            await asyncio.sleep(0.001)
        for call in cancelled:
            call.cancel()
        for late in expired:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await late
            assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        while service.in_flight > 1:
            await asyncio.sleep(0.001)
        service.go.set()
        assert (await first).results
        assert (await stub.Infer(_numbered(message, 2), timeout=60)).results
    assert [int.from_bytes(one, "big") for one in service.ran] == [1, 2]


async def test_a_cancel_message_ends_one_request_of_a_stream(lite0_bundle: Bundle, message: pb.InferRequest) -> None:
    service = Counting(lite0_bundle)
    async with Server(service) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub: pb_grpc.InferenceServiceAsyncStub = pb_grpc.InferenceServiceStub(channel)

        async def requests() -> AsyncIterator[pb.InferStreamRequest]:
            # Many times the stream's window: a cancelled request must give its place there back too.
            yield pb.InferStreamRequest(id=1, request=_numbered(message, 1))
            while not service.ran:
                await asyncio.sleep(0.001)
            for number in range(2, 202):
                yield pb.InferStreamRequest(id=number, request=_numbered(message, number))
                yield pb.InferStreamRequest(id=number, cancel=True)
            yield pb.InferStreamRequest(id=202, request=_numbered(message, 202))
            # Messages of a stream come in order: once this one is in line, those before it have left it.
            while _number(202) not in service.asked or service.waiting != 1:
                await asyncio.sleep(0.001)
            service.go.set()

        replies = [reply.id async for reply in stub.InferStream(requests(), timeout=60)]
    assert sorted(replies) == [1, 202]
    assert [int.from_bytes(one, "big") for one in service.ran] == [1, 202]


async def test_a_broken_stream_gives_its_requests_up(lite0_bundle: Bundle, message: pb.InferRequest) -> None:
    service = Counting(lite0_bundle)
    async with Server(service) as server, grpc.aio.insecure_channel(server.address) as channel:
        stub: pb_grpc.InferenceServiceAsyncStub = pb_grpc.InferenceServiceStub(channel)
        first = stub.Infer(_numbered(message, 1), timeout=60)
        while not service.ran:
            await asyncio.sleep(0.001)
        stream = stub.InferStream()
        for number in range(2, 22):
            await stream.write(pb.InferStreamRequest(id=number, request=_numbered(message, number)))
        while service.waiting < 20:
            await asyncio.sleep(0.001)
        stream.cancel()
        while service.waiting:
            await asyncio.sleep(0.001)
        service.go.set()
        assert (await first).results
    assert len(service.ran) == 1
