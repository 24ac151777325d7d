"""Requests without a network behind them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from splitnet.cloud.access.caller import Caller
from splitnet.cloud.batching import Job
from splitnet.tasks.results import Embedding
from splitnet.wire.exchange import InferenceRequest, InferenceResponse, Timing

CALLER = Caller("camera-7", "camera-7")


class Clock:
    """Stands still until it is set."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def job(
    model: str = "lite0", version: str = "1", cut: str = "block7", size: int = 100, client: str = "camera-7"
) -> Job:
    """What an observer looks at in an admitted request."""
    manifest = SimpleNamespace(name=model, version=version)
    found = SimpleNamespace(
        request=request(model, cut, size),
        caller=Caller(client, client),
        model=SimpleNamespace(bundle=SimpleNamespace(manifest=manifest, fingerprint="00" * 32)),
        cut=SimpleNamespace(name=cut),
        heads=(),
        size=size,
        arrived=10.0,
    )
    return cast(Job, found)


def request(model: str = "lite0", cut: str = "block7", size: int = 100, request_id: bytes = b"") -> InferenceRequest:
    return InferenceRequest(model, "00" * 32, cut, bytes(size), request_id=request_id)


def response(total: float = 0.004) -> InferenceResponse:
    results: dict[str, Embedding] = {}
    return InferenceResponse(results, Timing(0.001, 0.0002, 0.002, 0.0005, 0.0001, total, 2))
