"""The Python API of the device: `Edge` for callers that block, `AsyncEdge` for asyncio."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from splitnet.bundle import Bundle
from splitnet.bundle.load import Half
from splitnet.edge.encoder import EdgeEncoder, Encoded, Photo
from splitnet.edge.retry import NO_RETRIES, RetryPolicy, new_request_id
from splitnet.edge.spans import exchange_span
from splitnet.edge.trace import Trace
from splitnet.edge.transport import AsyncTransport, Transport
from splitnet.errors import FingerprintError, InvalidRequestError, OverloadedError, UnknownError, UsageError
from splitnet.tasks.results import FloatArray, Result
from splitnet.wire.credentials import NO_CREDENTIALS, Credentials
from splitnet.wire.exchange import InferenceRequest, InferenceResponse, ModelInfo

CONNECT_TIMEOUT = 5.0
"""Seconds that `connect` waits for the server's description of the model."""


@dataclass(frozen=True, slots=True)
class Inference:
    """The answer for one photo: task name -> result, size of the frame that travelled, and where the time went.

    `outputs` holds each head's output as it is (logits, for classification), where `infer` was asked for them.
    """

    results: Mapping[str, Result]
    frame_bytes: int
    trace: Trace
    outputs: Mapping[str, FloatArray] = field(default_factory=dict)


class _Client:
    """What both clients share: the encoder, the request and the check of the server."""

    def __init__(
        self,
        bundle: Bundle | str | Path,
        cut: str,
        codec: str | None,
        threads: int,
        retry: RetryPolicy,
        size: tuple[int, int] | None,
        *,
        local: bool,
    ) -> None:
        self.retry = retry
        half: Half = "whole" if local else "edge"
        self.bundle = bundle if isinstance(bundle, Bundle) else Bundle.load(Path(bundle), half=half)
        self.encoder = EdgeEncoder(self.bundle, cut, codec, threads=threads, size=size)
        self._max_frame_bytes: int | None = None

    @property
    def cut(self) -> str:
        """Name of the cut in use."""
        return self.encoder.cut.name

    def request(self, frame: bytes, tasks: Sequence[str], top_k: int, outputs: bool) -> InferenceRequest:
        """A request for `frame`. Raises UsageError for an unknown task, OverloadedError for too large a frame."""
        for task in tasks:
            self.bundle.task(task)
        if self._max_frame_bytes is not None and len(frame) > self._max_frame_bytes:
            raise OverloadedError(
                f"a frame of {len(frame)} bytes is over the server's limit of {self._max_frame_bytes}; "
                "use a smaller codec"
            )
        return InferenceRequest(
            model=self.bundle.manifest.name,
            fingerprint=self.bundle.fingerprint,
            cut=self.cut,
            frame=frame,
            tasks=tuple(tasks),
            top_k=top_k,
            outputs=outputs,
            request_id=new_request_id() if self.retry.attempts > 1 else b"",
        )

    def check(self, model: ModelInfo) -> None:
        """Raises a ServiceError where the server cannot take what this edge sends."""
        summary = model.summary
        self._max_frame_bytes = model.max_frame_bytes
        if summary.fingerprint != self.bundle.fingerprint:
            raise FingerprintError(
                f"the server's bundle {summary.name} {summary.fingerprint[:12]} is not the edge's "
                f"{self.bundle.fingerprint[:12]}; deploy the same bundle on both"
            )
        if self.cut not in {cut.name for cut in model.cuts}:
            raise UnknownError(f"the server does not serve cut {self.cut!r} of {summary.name}")
        missing = [stage for stage in self.encoder.stages if stage not in model.codec_stages]
        if missing:
            raise InvalidRequestError(
                f"the server has no codec stage {missing[0]!r}; it has {', '.join(model.codec_stages)}"
            )


def _inference(encoded: Encoded, response: InferenceResponse, started: float, sent: float) -> Inference:
    done = time.perf_counter()
    trace = encoded.times.complete(done - sent, response.timing, done - started)
    return Inference(response.results, len(encoded.frame), trace, response.outputs)


class Edge:
    """Split inference for callers that block.

    Parameters
    ----------
    bundle
        A bundle or its directory.
    server
        HOST:PORT of the service, or "local": both halves in this process. Anything with the `Transport` contract works.
    cut, codec
        Where to split (the cut with the fewest values by default) and how to code the features: by default with the
        cut's calibrated transform at its default step, or ``affine:bits=8|zstd:level=3`` where it has none.
    threads
        Threads of one run of the edge graph.
    credentials
        Token and certificates for the server at HOST:PORT.
    retry
        When a request is sent again; by default never.
    unary
        One call a request instead of streams: for balancers that share out calls, at a little more cost each.
    size
        (height, width) in pixels that photos get, for a bundle that takes any size; its nominal one by default.

    With a transform, ``edge.encoder.step = 2.0`` makes the frames of the photos that follow smaller.

    Raises
    ------
    UsageError, BundleError

    Examples
    --------
    >>> with Edge("bundle", "127.0.0.1:50051") as edge:  # doctest: +SKIP
    ...     edge.infer("cat.jpg", tasks=["classification"]).results["classification"].top[0].label
    'tabby, tabby cat'
    """

    def __init__(
        self,
        bundle: Bundle | str | Path,
        server: str | Transport = "local",
        *,
        cut: str = "",
        codec: str | None = None,
        threads: int = 1,
        credentials: Credentials = NO_CREDENTIALS,
        retry: RetryPolicy = NO_RETRIES,
        unary: bool = False,
        size: tuple[int, int] | None = None,
    ) -> None:
        self._client = _Client(bundle, cut, codec, threads, retry, size, local=server == "local")
        self.bundle = self._client.bundle
        self.cut = self._client.cut
        self.encoder = self._client.encoder
        self._transport = _transport(server, self.bundle, credentials, unary) if isinstance(server, str) else server

    def connect(self, timeout: float = CONNECT_TIMEOUT) -> ModelInfo:
        """Check that the server is there and serves this bundle, cut and codec. Raises ServiceError."""
        manifest = self.bundle.manifest
        model = self._transport.describe(manifest.name, manifest.version, timeout=timeout)
        self._client.check(model)
        return model

    def infer(
        self,
        image: Photo,
        tasks: Sequence[str] = (),
        *,
        top_k: int = 0,
        outputs: bool = False,
        timeout: float | None = None,
    ) -> Inference:
        """Answer `tasks` (all of the bundle's when empty) for one photo; `timeout` in seconds is for the exchange.

        Raises
        ------
        UsageError
            for an unknown task.
        ImageError
            if the photo cannot be read.
        SampleError
            if an input that is no photo cannot be read, or is not what the network takes.
        ServiceError
            for every answer of the service that is not a result.
        """
        started = time.perf_counter()
        encoded = self._client.encoder.encode(image)
        request = self._client.request(encoded.frame, tasks, top_k, outputs)
        sent = time.perf_counter()
        with exchange_span(request, self._transport.address) as request:
            response = self._client.retry.call(lambda left: self._transport.infer(request, left), timeout)
        return _inference(encoded, response, started, sent)

    def close(self) -> None:
        """Close the connection."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncEdge:
    """Split inference for asyncio: as `Edge`, with many photos in flight over one stream.

    Decoding, the edge graph and the codec run in a thread of their own, one photo at a time.
    """

    def __init__(
        self,
        bundle: Bundle | str | Path,
        server: str | AsyncTransport = "local",
        *,
        cut: str = "",
        codec: str | None = None,
        threads: int = 1,
        credentials: Credentials = NO_CREDENTIALS,
        retry: RetryPolicy = NO_RETRIES,
        unary: bool = False,
        size: tuple[int, int] | None = None,
    ) -> None:
        self._client = _Client(bundle, cut, codec, threads, retry, size, local=server == "local")
        self.bundle = self._client.bundle
        self.cut = self._client.cut
        self.encoder = self._client.encoder
        self._transport = (
            _async_transport(server, self.bundle, credentials, unary) if isinstance(server, str) else server
        )
        # One thread, and always the same: it keeps a device's other cores free, and each further thread that decodes
        # photos and runs graphs would hold tens of megabytes of freed memory for itself.
        self._closed = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="edge")

    async def connect(self, timeout: float = CONNECT_TIMEOUT) -> ModelInfo:
        """Check that the server is there and serves this bundle, cut and codec. Raises ServiceError."""
        manifest = self.bundle.manifest
        model = await self._transport.describe(manifest.name, manifest.version, timeout=timeout)
        self._client.check(model)
        return model

    async def infer(
        self,
        image: Photo,
        tasks: Sequence[str] = (),
        *,
        top_k: int = 0,
        outputs: bool = False,
        timeout: float | None = None,
    ) -> Inference:
        """As `Edge.infer`."""
        if self._closed:
            raise UsageError("this AsyncEdge was closed; make a new one")
        loop = asyncio.get_running_loop()
        started, encoded = await loop.run_in_executor(self._thread, self._encode, image)
        request = self._client.request(encoded.frame, tasks, top_k, outputs)
        sent = time.perf_counter()
        with exchange_span(request, self._transport.address) as request:
            response = await self._client.retry.acall(lambda left: self._transport.infer(request, left), timeout)
        return _inference(encoded, response, started, sent)

    def _encode(self, image: Photo) -> tuple[float, Encoded]:
        started = time.perf_counter()
        return started, self._client.encoder.encode(image)

    async def aclose(self) -> None:
        """Close the connection."""
        self._closed = True
        self._thread.shutdown(wait=False, cancel_futures=True)
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _transport(server: str, bundle: Bundle, credentials: Credentials, unary: bool) -> Transport:
    if server == "local":
        from splitnet.edge.local import LocalTransport

        return LocalTransport.for_bundle(bundle)
    from splitnet.edge.grpc_transport import GrpcTransport

    return GrpcTransport(server, credentials, unary=unary)


def _async_transport(server: str, bundle: Bundle, credentials: Credentials, unary: bool) -> AsyncTransport:
    if server == "local":
        from splitnet.edge.local import AsyncLocalTransport, LocalTransport

        return AsyncLocalTransport(LocalTransport.for_bundle(bundle))
    from splitnet.edge.grpc_aio_transport import AsyncGrpcTransport

    return AsyncGrpcTransport(server, credentials, unary=unary)
