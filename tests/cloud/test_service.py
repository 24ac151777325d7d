"""The service core, without any transport."""

import dataclasses
import time
from collections.abc import Sequence

import numpy as np
import pytest

import featcodec
from splitnet.bundle import Bundle, Cut
from splitnet.cloud import InferenceService
from splitnet.cloud.access import Caller, Permits
from splitnet.cloud.access.caller import EVERYTHING
from splitnet.cloud.batching import job as job_module
from splitnet.cloud.model import CloudModel, Head
from splitnet.errors import (
    FingerprintError,
    InvalidRequestError,
    LateError,
    OverloadedError,
    PermissionDeniedError,
    ServiceError,
    UnknownError,
)
from splitnet.runtime import Array
from splitnet.tasks import Classification, Embedding
from splitnet.wire.exchange import InferenceRequest

CUT = (1, 80, 14, 14)


@pytest.fixture(scope="module")
def service(lite0_bundle: Bundle) -> InferenceService:
    return InferenceService([lite0_bundle], max_frame_bytes=200_000)


@pytest.fixture
def request_(lite0_bundle: Bundle) -> InferenceRequest:
    features = np.random.default_rng(7).standard_normal(CUT, dtype=np.float32)
    return InferenceRequest(
        "efficientnet-lite0", lite0_bundle.fingerprint, "block7", featcodec.encode(features, "none|raw")
    )


def test_every_task_is_answered_by_default(service: InferenceService, request_: InferenceRequest) -> None:
    response = service.infer(request_)
    assert list(response.results) == ["classification", "embedding"]
    classes, vector = response.results.values()
    assert isinstance(classes, Classification)
    assert isinstance(vector, Embedding)
    assert len(classes.top) == 5
    assert vector.values.shape == (1280,)
    assert float(np.linalg.norm(vector.values)) == pytest.approx(1.0, abs=1e-5)
    assert not response.outputs


def test_only_the_tasks_asked_for_in_their_order(service: InferenceService, request_: InferenceRequest) -> None:
    asked = dataclasses.replace(request_, tasks=("embedding", "classification", "embedding"), top_k=3)
    results = service.infer(asked).results
    assert list(results) == ["embedding", "classification"]
    classes = results["classification"]
    assert isinstance(classes, Classification)
    assert len(classes.top) == 3


def test_outputs_are_the_logits(service: InferenceService, request_: InferenceRequest) -> None:
    response = service.infer(dataclasses.replace(request_, outputs=True, tasks=("classification",)))
    logits = response.outputs["classification"]
    classes = response.results["classification"]
    assert isinstance(classes, Classification)
    assert logits.shape == (1000,)
    assert int(logits.argmax()) == classes.top[0].index


def test_the_remaining_layers_run_once_for_all_tasks(
    service: InferenceService, request_: InferenceRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    run = CloudModel.shared

    def counted(
        self: CloudModel, cut: Cut, values: Array, *, coefficients: bool, heads: Sequence[Head]
    ) -> dict[str, Array]:
        calls.append(cut.name)
        return run(self, cut, values, coefficients=coefficients, heads=heads)

    monkeypatch.setattr(CloudModel, "shared", counted)
    service.infer(request_)
    assert calls == ["block7"]


def test_timing_adds_up(service: InferenceService, request_: InferenceRequest) -> None:
    timing = service.infer(request_, arrived=time.perf_counter() - 0.25).timing
    parts = timing.queue + timing.decode + timing.graph + timing.heads + timing.post
    assert timing.queue >= 0.25
    assert timing.total == pytest.approx(parts)


def _wrong_shape() -> bytes:
    return featcodec.encode(np.zeros((1, 80, 7, 28), np.float32), "none|raw")


def _with_nan() -> bytes:
    features = np.zeros(CUT, np.float32)
    features[0, 3, 2, 1] = np.nan
    return featcodec.encode(features, "none|raw")


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"model": "resnet"}, UnknownError, "no model 'resnet' here; served: efficientnet-lite0"),
        ({"version": "9"}, UnknownError, "no version '9'; served: 1"),
        ({"cut": "block3"}, UnknownError, "no cut 'block3' .* block4, block7, block10"),
        ({"cut": ""}, UnknownError, "no cut ''"),
        ({"tasks": ("poetry",)}, UnknownError, "no task 'poetry' .* classification, embedding"),
        ({"fingerprint": "00" * 32}, FingerprintError, "deploy the same bundle"),
        ({"frame": b""}, InvalidRequestError, "malformed frame"),
        ({"frame": b"\x00" * 100}, InvalidRequestError, "malformed frame"),
        ({"frame": _wrong_shape()}, InvalidRequestError, r"float32 \(1, 80, 7, 28\); cut block7 takes .*14, 14"),
        ({"frame": _with_nan()}, InvalidRequestError, "holds NaN or infinity"),
        (
            {"frame": featcodec.encode(np.zeros(CUT, np.float64), "none|raw")},
            InvalidRequestError,
            "holds float64",
        ),
        (
            {"frame": featcodec.encode(np.zeros((2, *CUT[1:]), np.float32), "none|raw")},
            InvalidRequestError,
            "more than",
        ),
        ({"frame": bytes(200_001)}, OverloadedError, "200001 bytes is over the limit of 200000"),
        ({"model": "x" * 100_000}, UnknownError, r"^no model 'x{77}\.\.\.' here"),
    ],
)
def test_what_the_service_refuses(
    service: InferenceService,
    request_: InferenceRequest,
    change: dict[str, object],
    error: type[ServiceError],
    says: str,
) -> None:
    with pytest.raises(error, match=says):
        service.infer(dataclasses.replace(request_, **change))  # type: ignore[arg-type]  # one test for every field


def test_outputs_that_are_not_finite_are_refused(
    service: InferenceService, request_: InferenceRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CloudModel, "answer", lambda *_: np.full((1, 1000), np.nan, np.float32))
    with pytest.raises(InvalidRequestError, match="task 'classification' NaN or infinity"):
        service.infer(request_)


def test_late_work_does_not_reach_the_network(
    service: InferenceService, request_: InferenceRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_module, "decode_frame", lambda *_: pytest.fail("the frame was decoded"))
    with pytest.raises(LateError, match="before the request reached the network"):
        service.infer(request_, deadline=time.perf_counter() - 0.001)


def test_description(service: InferenceService, lite0_bundle: Bundle) -> None:
    model = service.describe("efficientnet-lite0")
    assert model.summary.fingerprint == lite0_bundle.fingerprint
    assert [cut.name for cut in model.cuts] == ["block4", "block7", "block10"]
    assert model.tasks == {"classification": "classification", "embedding": "embedding"}
    assert {"none", "raw", "zstd", "affine"} <= set(model.codec_stages)
    assert model.max_frame_bytes == 200_000
    assert [one.name for one in service.models()] == ["efficientnet-lite0"]


def test_what_names_mean_is_asked_anew_when_models_come_and_go(
    lite0_bundle: Bundle, request_: InferenceRequest
) -> None:
    service = InferenceService([lite0_bundle])
    first = service.served.find(request_.model)

    def model(permits: Permits = EVERYTHING) -> CloudModel:
        return service._job(request_, Caller("a", "a", permits), 0.0, None, None).model

    assert model() is model() is first
    with pytest.raises(PermissionDeniedError):
        model(Permits(tasks=("nothing",)))
    fresh = service.load(lite0_bundle)
    service.served.put(fresh)
    assert service._resolved is None
    assert model() is fresh
    service.served.remove(request_.model, lite0_bundle.manifest.version)
    with pytest.raises(UnknownError):
        model()
