"""A network of a few kilobytes, and devices that send frames of it until each is answered."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

import featcodec
from splitnet.bundle import Bundle
from splitnet.edge.grpc_aio_transport import AsyncGrpcTransport
from splitnet.edge.local import LocalTransport
from splitnet.edge.retry import RetryPolicy, new_request_id
from splitnet.errors import ServiceError, UnavailableError
from splitnet.tasks.results import Tensor
from splitnet.wire.credentials import Credentials
from splitnet.wire.exchange import InferenceRequest, InferenceResponse

CUT = "r1"
TIMEOUT = 60.0
POLICY = RetryPolicy(attempts=12, first=0.05, factor=2.0, longest=3.0)
TOLERANCE = 1e-5
"""Relative; the answers of two frames differ by five times that at least."""


def tiny_bundle(folder: Path) -> Bundle:
    """A network of two convolutions, written and built in `folder`."""
    import onnx

    from splitnet.bundle.build import build_bundle

    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        tiny (float[N, 3, 16, 16] image) => (float[N, 8] vector) {
            c1 = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(image, w1)
            r1 = Relu(c1)
            c2 = Conv<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(r1, w2)
            pool = GlobalAveragePool(c2)
            vector = Flatten(pool)
        }
    """)
    generator = np.random.default_rng(0)
    for name, shape in (("w1", (4, 3, 3, 3)), ("w2", (8, 4, 3, 3))):
        values = generator.standard_normal(shape).astype(np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    (folder / "tiny.onnx").write_bytes(model.SerializeToString())
    return build_bundle(folder / "tiny.onnx", folder / "tiny", cuts=[CUT])


def requests(bundle: Bundle, count: int) -> Callable[[int], InferenceRequest]:
    """Request number n; each of `count` frames differs from the others, so that an answer shows whose it is."""
    shape, task = (1, *bundle.cut(CUT).shape), bundle.manifest.tasks[0].name

    def request(number: int) -> InferenceRequest:
        features = np.full(shape, 1.0 + number / count, dtype=np.float32)
        frame = featcodec.encode(features, "none|zlib:level=1")
        name = bundle.manifest.name
        return InferenceRequest(name, bundle.fingerprint, CUT, frame, (task,), outputs=True)

    return request


def expected_outputs(bundle: Bundle, count: int) -> Callable[[int], float]:
    """The first number of the answer to request n: behind the cut the network is linear."""
    one = _first(LocalTransport.for_bundle(bundle).infer(requests(bundle, count)(0)))
    return lambda number: one * (1.0 + number / count)


@dataclass(slots=True)
class Delivery:
    """What became of the frames: number -> how many answers, and how often something else came back."""

    answers: Counter[int] = field(default_factory=Counter)
    outputs: dict[int, float] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    retried: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def wrong(self, expected: Callable[[int], float]) -> int:
        """Answers that are another frame's."""
        return sum(abs(value / expected(number) - 1) > TOLERANCE for number, value in self.outputs.items())


async def deliver(
    address: str,
    request: Callable[[int], InferenceRequest],
    count: int,
    *,
    devices: int = 8,
    in_flight: int = 2,
    victim: int | None = None,
    unary: bool = True,
    application: str = "splitnet",
) -> Delivery:
    """Send `count` frames; `victim`, a process, is killed once half of them are answered."""
    found = Delivery()
    numbers = iter(range(count))
    transports = [
        AsyncGrpcTransport(address, Credentials(application=application), unary=unary) for _ in range(devices)
    ]
    started = time.perf_counter()

    async def one(transport: AsyncGrpcTransport, number: int) -> None:
        nonlocal victim
        # The same id for every attempt: that is what makes sending again safe.
        sent = replace(request(number), request_id=new_request_id())

        async def send(left: float | None) -> InferenceResponse:
            try:
                return await transport.infer(sent, left)
            except ServiceError as error:
                found.retried[error.code] += 1
                raise

        try:
            answer = await POLICY.acall(send, TIMEOUT)
        except ServiceError as error:
            found.failures[error.code] += 1
            return
        found.answers[number] += 1
        found.outputs[number] = _first(answer)
        if victim is not None and len(found.answers) >= count // 2:
            os.kill(victim, signal.SIGKILL)
            victim = None

    async def device(transport: AsyncGrpcTransport) -> None:
        for number in numbers:
            await one(transport, number)

    try:
        await asyncio.gather(*(device(transport) for transport in transports for _ in range(in_flight)))
    finally:
        found.seconds = time.perf_counter() - started
        await asyncio.gather(*(transport.aclose() for transport in transports))
    return found


def _first(answer: InferenceResponse) -> float:
    (result,) = answer.results.values()
    if not isinstance(result, Tensor):
        raise UnavailableError(f"the answer is a {type(result).__name__}, not a tensor")
    return float(result.values.ravel()[0])
