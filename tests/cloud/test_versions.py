"""Edges one version older and newer than the service: recorded exchanges are served as they were.

tests/golden/exchange/VERSION holds the very bytes that an edge of that version sent and was answered, and the protocol
it was built from. They are never rewritten; a new version adds a folder.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from splitnet.bundle import Bundle
from splitnet.cloud import InferenceService
from splitnet.cloud.observe.health import SERVICE_NAME
from splitnet.cloud.server import Server

RECORDED = Path(__file__).resolve().parents[1] / "golden" / "exchange"
VERSIONS = sorted(path.name for path in RECORDED.iterdir())
NEWER = b"\xa2\x1f\x05later" + b"\xa8\x1f\x2a"
"""A text in field 500 and a number in field 501, which no version has yet."""


class Edge:
    """The messages of one version, and raw calls with its recorded bytes."""

    def __init__(self, version: str, bundle: Bundle, channel: grpc.aio.Channel) -> None:
        self._folder, self._bundle, self._channel = RECORDED / version, bundle, channel
        pool = descriptor_pool.DescriptorPool()
        for file in descriptor_pb2.FileDescriptorSet.FromString(self.recorded("descriptor")).file:
            pool.Add(file)
        self._pool = pool

    def recorded(self, name: str) -> bytes:
        """A recorded file; the fingerprint of its bundle becomes that of the one served."""
        data = (self._folder / f"{name}.binpb").read_bytes()
        recorded = (self._folder / "fingerprint.bin").read_bytes()
        return data.replace(recorded, bytes.fromhex(self._bundle.fingerprint))

    def message(self, name: str, data: bytes) -> Any:
        """Parse as that version did."""
        return message_factory.GetMessageClass(self._pool.FindMessageTypeByName(f"splitnet.v1.{name}")).FromString(data)

    async def call(self, method: str, extra: bytes = b"") -> Any:
        """A unary call with the recorded request and `extra` bytes of fields behind it."""
        call: Any = self._channel.unary_unary(f"/{SERVICE_NAME}/{method}")
        return self.message(f"{method}Response", await call(self.recorded(f"{method}.request") + extra, timeout=30))

    async def stream(self, extra: bytes = b"") -> dict[int, Any]:
        """The recorded stream; answers by id."""

        async def requests() -> AsyncIterator[bytes]:
            for number in (1, 2):
                yield self.recorded(f"InferStream.{number}.request") + extra

        call: Any = self._channel.stream_stream(f"/{SERVICE_NAME}/InferStream")
        replies = [self.message("InferStreamResponse", data) async for data in call(requests(), timeout=30)]
        return {reply.id: reply for reply in replies}


@pytest.fixture(params=VERSIONS)
async def edge(request: pytest.FixtureRequest, lite0_bundle: Bundle) -> AsyncIterator[Edge]:
    async with (
        Server(InferenceService([lite0_bundle])) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        yield Edge(request.param, lite0_bundle, channel)


def _same_answers(found: Any, recorded: Any) -> None:
    assert (
        [one.task for one in found.results] == [one.task for one in recorded.results] == ["classification", "embedding"]
    )
    ours, theirs = (message.results[0].classification.top for message in (found, recorded))
    assert [(one.index, one.label) for one in ours] == [(one.index, one.label) for one in theirs]
    assert [one.probability for one in ours] == pytest.approx([one.probability for one in theirs], rel=1e-3)
    vectors = [np.frombuffer(message.results[1].embedding.float32, "<f4") for message in (found, recorded)]
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-4)
    assert found.timing.total > 0


@pytest.mark.parametrize("extra", [b"", NEWER], ids=["older", "newer"])
async def test_its_requests_get_the_recorded_answers(edge: Edge, extra: bytes) -> None:
    _same_answers(await edge.call("Infer", extra), edge.message("InferResponse", edge.recorded("Infer.response")))
    replies = await edge.stream(extra)
    _same_answers(
        replies[5].response, edge.message("InferStreamResponse", edge.recorded("InferStream.1.response")).response
    )
    recorded = edge.message("InferStreamResponse", edge.recorded("InferStream.2.response"))
    assert (replies[6].error.code, replies[6].error.message) == (recorded.error.code, recorded.error.message)


@pytest.mark.parametrize("extra", [b"", NEWER], ids=["older", "newer"])
async def test_it_learns_what_it_learnt(edge: Edge, extra: bytes) -> None:
    recorded = edge.message("GetModelResponse", edge.recorded("GetModel.response"))
    found = await edge.call("GetModel", extra)
    assert found.summary == recorded.summary
    assert found.input == recorded.input
    assert list(found.cuts) == list(recorded.cuts)
    assert list(found.tasks) == list(recorded.tasks)
    assert set(recorded.codec_stages) <= set(found.codec_stages)
    listed = await edge.call("ListModels", extra)
    assert list(listed.models) == [recorded.summary]


async def test_a_call_that_only_newer_edges_know_is_unimplemented(edge: Edge) -> None:
    call: Any = edge._channel.unary_unary(f"/{SERVICE_NAME}/InferFaster")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call(b"", timeout=30)
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
