"""Versions that are reloaded and unloaded under load: no request may notice."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import grpc

from splitnet.bundle import Bundle
from splitnet.cloud import InferenceService
from splitnet.cloud.batching import BatchSettings
from splitnet.cloud.repository.manage import manage
from splitnet.cloud.repository.repository import Repository
from splitnet.cloud.repository.state import State
from splitnet.cloud.server import Server
from splitnet.v1 import inference_pb2 as pb
from splitnet.v1 import inference_pb2_grpc as pb_grpc
from splitnet.wire.messages import request_to_message
from tests.cloud.conftest import Deploy, request_for

STREAMS = 4
IN_FLIGHT = 8


async def _send(address: str, bundle: Bundle, until: asyncio.Event, answers: Counter[str]) -> None:
    """One stream with always `IN_FLIGHT` requests under way, until told to end."""
    request = request_to_message(request_for(bundle))
    async with grpc.aio.insecure_channel(address) as channel:
        stream: Any = pb_grpc.InferenceServiceStub(channel).InferStream()
        for number in range(IN_FLIGHT):
            await stream.write(pb.InferStreamRequest(id=number, request=request))
        number = waiting = IN_FLIGHT
        while waiting:
            reply = await stream.read()
            answers["failed" if reply.HasField("error") else bundle.manifest.version] += 1
            waiting -= 1
            if not until.is_set():
                await stream.write(pb.InferStreamRequest(id=number, request=request))
                number, waiting = number + 1, waiting + 1
        await stream.done_writing()


async def _change(repository: Repository, broken: Path, answers: Counter[str]) -> None:
    """Two versions in use are reloaded, once from a broken bundle; a third comes, is asked, and goes under way."""
    data = broken.read_bytes()
    for turn in range(6):
        before = answers.total()
        if turn == 3:
            broken.write_bytes(data[:-1])
        states = [one.state for one in await repository.reload("tiny")]
        assert set(states) == {State.SERVING}
        broken.write_bytes(data)
        assert (await repository.load("tiny", "3")).default
        while answers.total() < before + 100:
            await asyncio.sleep(0.01)
        await repository.unload("tiny", "3")


async def test_hot_reload_under_load(models: Path, deploy: Deploy) -> None:
    """The figure `serve.reload_failed_requests`: 0."""
    service = InferenceService(batching=BatchSettings(workers=2, decoders=1))
    bundles = [deploy("1"), deploy("2")]
    answers: Counter[str] = Counter()
    async with manage(service, models) as repository, Server(service) as server:
        last = deploy("3")
        done = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for stream in range(STREAMS):
                group.create_task(_send(server.address, bundles[stream % 2], done, answers))
            await _change(repository, bundles[0].path / "cuts" / "r1.cloud.onnx", answers)
            # Requests that were admitted before their version is unloaded are answered by it.
            await repository.load("tiny", "3")
            stopped = asyncio.Event()
            sending = group.create_task(_send(server.address, last, stopped, answers))
            while not answers["3"]:
                await asyncio.sleep(0.001)
            stopped.set()
            await sending
            await repository.unload("tiny", "3")
            done.set()
    assert answers["failed"] == 0
    assert answers["3"] >= IN_FLIGHT
    assert min(answers["1"], answers["2"]) > 100


async def test_a_request_under_way_outlives_its_version(models: Path, deploy: Deploy) -> None:
    service = InferenceService()
    bundle = deploy("1")
    async with manage(service, models) as repository:
        under_way = [service.submit(request_for(bundle)) for _ in range(20)]
        await repository.unload("tiny", "1")
        assert [len((await one).results) for one in under_way] == [2] * 20
    service.close()
