"""What a worker does with a batch: decode, run the shared layers once, every head once, results for each request."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import structlog

from splitnet.bundle.manifest import Cut
from splitnet.cloud.batching import Job, Outcome
from splitnet.cloud.decoding import Content, held, nominal
from splitnet.cloud.model import CloudModel, Head
from splitnet.errors import CancelledError, InternalError, InvalidRequestError, LateError, ModelError, ServiceError
from splitnet.runtime import Array
from splitnet.tasks.softmax import all_finite
from splitnet.wire.exchange import InferenceResponse, Timing

log = structlog.get_logger("splitnet.server")


def run_batch(jobs: Sequence[Job], waiting: int = 0) -> list[Outcome]:
    """Answer jobs of one group, with `waiting` more in line.

    A job that fails fails alone; frames of other kinds or shapes run one after another.

    Nothing is run for a request that was cancelled or late once its frame was decoded.
    """
    outcomes: dict[Job, Outcome] = {}
    parts: dict[tuple[object, ...], list[tuple[Job, Content]]] = {}
    for job in jobs:
        try:
            content = job.decode()
        except ServiceError as error:
            if error.__cause__ is not None and isinstance(error, InternalError):
                log.error("decoding failed", exc_info=error.__cause__, model=job.request.model, cut=job.cut.name)
            outcomes[job] = error
            continue
        if (outcome := _given_up(job)) is not None:
            outcomes[job] = outcome
        else:
            parts.setdefault((content.coefficients, *[one.shape for one in content.values]), []).append((job, content))
    for part in parts.values():
        if len(parts) > 1:
            # What came before took its time.
            outcomes |= {job: ended for job, _ in part if (ended := _given_up(job)) is not None}
            part = [one for one in part if one[0] not in outcomes]
            if not part:
                continue
        try:
            _run_part(part, outcomes, waiting)
        except ServiceError as error:
            outcomes |= {job: error for job, _ in part}
        except Exception as error:  # the boundary: whatever else fails is ours, and its detail stays here
            log.exception("request failed", model=part[0][0].request.model, cut=part[0][0].cut.name)
            failure = InternalError()
            failure.__cause__ = error
            outcomes |= {job: failure for job, _ in part}
    return [outcomes[job] for job in jobs]


def _given_up(job: Job) -> ServiceError | None:
    if job.cancelled:
        return CancelledError("the request was cancelled")
    if job.expired(time.perf_counter()):
        return LateError("the deadline passed before the request reached the network")
    return None


def _run_part(part: list[tuple[Job, Content]], outcomes: dict[Job, Outcome], waiting: int) -> None:
    first, content = part[0]
    values = content.values
    if len(part) > 1:
        values = tuple([np.concatenate(tensors) for tensors in zip(*[one.values for _, one in part], strict=True)])
    started = time.perf_counter()
    try:
        outputs, ran = run_heads(first.model, first.cut, first.heads, values, content.coefficients)
        if any(len(output) != len(part) for _, output in outputs):
            raise ModelError("an output's first dimension is not the batch")
    except ModelError as error:
        # Too little memory is not the client's mistake; ONNX Runtime says so in its text alone.
        if nominal(first.cut, content) or "alloc" in str(error).lower():
            raise
        raise _no_size(first, content, error) from error
    answered = time.perf_counter()
    for number, (job, _) in enumerate(part):
        try:
            results = {}
            for head, output in outputs:
                if not all_finite(output[number]):
                    raise InvalidRequestError(f"the frame's features give task {head.task.name!r} NaN or infinity")
                results[head.task.name] = head.result(output[number], job.request.top_k)
        except ServiceError as error:
            outcomes[job] = error
            continue
        except ModelError as error:
            if nominal(first.cut, content):
                raise
            outcomes[job] = _no_size(first, content, error)
            continue
        kept = {head.task.name: output[number] for head, output in outputs} if job.request.outputs else {}
        done = time.perf_counter()
        timing = Timing(
            queue=max(0.0, started - job.arrived - job.decode_seconds),
            decode=job.decode_seconds,
            graph=ran - started,
            heads=answered - ran,
            post=done - answered,
            total=done - job.arrived,
            batch=len(part),
            waiting=waiting,
        )
        outcomes[job] = InferenceResponse(results, timing, kept)


def _no_size(job: Job, content: Content, error: ModelError) -> InvalidRequestError:
    """The answer where sizes do not belong together, or the network does not run at that size."""
    # Not louder: anybody could fill the log.
    log.debug("no such size", reason=str(error), model=job.request.model, cut=job.cut.name)
    return InvalidRequestError(
        f"the frame holds {held(content.values)}, of no image that the network takes: send what the edge graph of cut"
        f" {job.cut.name} makes of one, or the nominal size"
    )


def run_heads(
    model: CloudModel, cut: Cut, heads: Sequence[Head], values: Array | Sequence[Array], coefficients: bool
) -> tuple[list[tuple[Head, Array]], float]:
    """Each head's output, batch dimension first, and when the shared layers were done."""
    shared = model.shared(cut, values, coefficients=coefficients, heads=heads)
    ran = time.perf_counter()
    return [(head, model.answer(head, shared)) for head in heads], ran
