"""The service core: what the service does with a request, whatever carried it here."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

import featcodec
from splitnet.bundle import Bundle
from splitnet.cloud.decoding import decode_frame
from splitnet.cloud.model import CloudModel, shorten
from splitnet.errors import FingerprintError, InvalidRequestError, LateError, UnknownError
from splitnet.tasks import post_process
from splitnet.wire.exchange import (
    DEFAULT_MAX_FRAME_BYTES,
    CutInfo,
    InferenceRequest,
    InferenceResponse,
    ModelInfo,
    ModelSummary,
    Timing,
)


class InferenceService:
    """Answers requests for the bundles it has loaded. Thread-safe: `infer` blocks, so call it from a worker thread.

    Parameters
    ----------
    bundles
        The models served.
    threads
        Threads of one graph run.
    max_frame_bytes
        Largest frame accepted.
    """

    def __init__(
        self, bundles: Sequence[Bundle], *, threads: int = 1, max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES
    ) -> None:
        models = [CloudModel(bundle, threads=threads, max_frame_bytes=max_frame_bytes) for bundle in bundles]
        self.max_frame_bytes = max_frame_bytes
        self._models = {model.bundle.fingerprint: model for model in models}

    def models(self) -> list[ModelSummary]:
        """What is served, in the order loaded."""
        return [self._summary(model) for model in self._models.values()]

    def describe(self, name: str, version: str = "") -> ModelInfo:
        """Everything a client has to know about a model. Raises UnknownError."""
        model = self._find(name, version)
        manifest = model.bundle.manifest
        return ModelInfo(
            summary=self._summary(model),
            input=manifest.input,
            cuts=tuple(
                CutInfo(cut.name, cut.shape, cut.dtype, cut.macs_before, cut.macs_after) for cut in model.cuts.values()
            ),
            tasks={task.name: task.kind for task in manifest.tasks},
            codec_stages=tuple(stage.name for stage in featcodec.list_stages()),
            max_frame_bytes=self.max_frame_bytes,
        )

    def infer(
        self, request: InferenceRequest, *, arrived: float | None = None, deadline: float | None = None
    ) -> InferenceResponse:
        """Decode the frame, run the remaining layers once, then every head asked for.

        `arrived` and `deadline` are readings of `time.perf_counter`; work whose deadline has passed does not start.

        Raises
        ------
        UnknownError, FingerprintError, InvalidRequestError, OverloadedError, LateError
        """
        started = time.perf_counter()
        arrived = started if arrived is None else arrived
        if deadline is not None and started >= deadline:
            raise LateError("the deadline passed before the request reached the network")
        model = self._find(request.model, request.version, request.fingerprint)
        self._check_fingerprint(model, request.fingerprint)
        cut = model.cut(request.cut)
        heads = model.wanted(request.tasks)
        content = decode_frame(request.frame, model, cut)
        decoded = time.perf_counter()
        shared = model.shared(cut, content.values, coefficients=content.coefficients)
        ran = time.perf_counter()
        outputs = [(head, model.answer(head, shared)) for head in heads]
        for head, output in outputs:
            if not np.isfinite(output).all():
                raise InvalidRequestError(f"the frame's features give task {head.task.name!r} NaN or infinity")
        answered = time.perf_counter()
        results = {
            head.task.name: post_process(head.task.kind, output[0], head.labels, request.top_k)
            for head, output in outputs
        }
        done = time.perf_counter()
        timing = Timing(
            queue=started - arrived,
            decode=decoded - started,
            graph=ran - decoded,
            heads=answered - ran,
            post=done - answered,
            total=done - arrived,
        )
        kept = {head.task.name: output[0] for head, output in outputs} if request.outputs else {}
        return InferenceResponse(results, timing, kept)

    def _find(self, name: str, version: str, fingerprint: str = "") -> CloudModel:
        """The model of this name and version; of several, the one with this fingerprint, else the last loaded."""
        named = [model for model in self._models.values() if model.bundle.manifest.name == name]
        if not named:
            known = ", ".join(sorted({model.bundle.manifest.name for model in self._models.values()}))
            raise UnknownError(f"no model {shorten(name)} here; served: {known}")
        found = [model for model in named if version in ("", model.bundle.manifest.version)]
        if not found:
            known = ", ".join(sorted({model.bundle.manifest.version for model in named}))
            raise UnknownError(f"model {name!r} has no version {shorten(version)}; served: {known}")
        matching = [model for model in found if model.bundle.fingerprint == fingerprint]
        return (matching or found)[-1]

    @staticmethod
    def _summary(model: CloudModel) -> ModelSummary:
        manifest = model.bundle.manifest
        return ModelSummary(manifest.name, manifest.version, model.bundle.fingerprint)

    @staticmethod
    def _check_fingerprint(model: CloudModel, fingerprint: str) -> None:
        ours = model.bundle.fingerprint
        if fingerprint != ours:
            raise FingerprintError(
                f"the edge's bundle {fingerprint[:12]} is not the service's {ours[:12]} "
                f"({model.bundle.manifest.name}); deploy the same bundle on both"
            )
