"""The service core: what the service does with a request, whatever carried it here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Hashable, Sequence

import featcodec
from splitnet.bundle import Bundle
from splitnet.bundle.manifest import Cut
from splitnet.cloud.access import ANYONE, Authenticator, Caller, Limiter, Peer, Permits, Session
from splitnet.cloud.batching import Answer, Batcher, BatchSettings, Job, Outcome
from splitnet.cloud.inference import run_batch
from splitnet.cloud.model import CloudModel, Head
from splitnet.cloud.observe.observer import Observer, tell
from splitnet.cloud.repeats import Repeats
from splitnet.cloud.repository import Served
from splitnet.errors import FingerprintError, LateError, OverloadedError, ServiceError
from splitnet.runtime.backends import Backend
from splitnet.wire.exchange import (
    DEFAULT_MAX_FRAME_BYTES,
    CutInfo,
    InferenceRequest,
    InferenceResponse,
    ModelInfo,
    ModelSummary,
)

Resolved = tuple[CloudModel, Cut, tuple[Head, ...]]
_RESOLVED = 256
"""Different things asked for that are remembered."""


class InferenceService:
    """Answers requests for the bundles it has loaded, the same behind every engine.

    `submit` is for an event loop: it admits a request, which then runs in a batch off the loop. `infer` is for callers
    that block: it runs the request at once on the caller's own thread, and may be called from several.

    Parameters
    ----------
    bundles
        The models served at the start.
    threads
        Threads of one graph run.
    backend
        What runs the graphs; ONNX Runtime with `threads` threads without one.
    max_frame_bytes
        Largest frame accepted.
    batching
        How requests are grouped, and how many may wait.
    repeats
        Answers kept for requests that are sent again.
    observer
        Told of every request.
    access
        Who may ask; by default everyone.
    limiter
        Counts what each client asks for.
    """

    def __init__(
        self,
        bundles: Sequence[Bundle] = (),
        *,
        threads: int = 1,
        backend: Backend | None = None,
        max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES,
        batching: BatchSettings | None = None,
        repeats: Repeats | None = None,
        observer: Observer | None = None,
        access: Authenticator | None = None,
        limiter: Limiter | None = None,
    ) -> None:
        self.max_frame_bytes = max_frame_bytes
        self.threads = threads
        self.backend = backend
        self.batching = batching or BatchSettings()
        self.served = Served(self.load(bundle) for bundle in bundles)
        self._batcher: Batcher | None = None
        self._repeats = repeats or Repeats()
        self.observer = observer or Observer()
        self.access = access or Authenticator()
        self._limiter = limiter or Limiter()
        self._resolved: tuple[int, dict[Hashable, Resolved]] | None = None
        # Not until the next request: a model that is no longer served shall leave the memory.
        self.served.watch(self._forget)

    def load(self, bundle: Bundle) -> CloudModel:
        """The cloud half of a bundle, with this service's limits, run once; not served yet.

        Raises BundleError, ModelError.
        """
        model = CloudModel(bundle, threads=self.threads, max_frame_bytes=self.max_frame_bytes, backend=self.backend)
        model.warm_up(self.batching.max_batch)
        return model

    @property
    def in_flight(self) -> int:
        """Requests running or waiting."""
        return 0 if self._batcher is None else self._batcher.in_flight

    @property
    def waiting(self) -> int:
        """Requests that no worker has begun."""
        return 0 if self._batcher is None else self._batcher.waiting

    @property
    def repeated(self) -> int:
        """Requests answered from an earlier one with the same id."""
        return self._repeats.hits

    def close(self) -> None:
        """End the workers once what they have is done."""
        if self._batcher is not None:
            self._batcher.close()
            self._batcher = None

    def session(self, peer: Peer) -> Session:
        """Authenticate who began a call or a stream. Raises UnauthenticatedError, PermissionDeniedError."""
        return self.access.session(peer, self.observer.refused)

    def models(self, caller: Caller = ANYONE) -> list[ModelSummary]:
        """What is served, in the order loaded, as far as the caller may use it."""
        return [
            _summary(model) for model in self.served.all() if caller.permits.allows_model(model.bundle.manifest.name)
        ]

    def describe(self, name: str, version: str = "", caller: Caller = ANYONE) -> ModelInfo:
        """Everything a client has to know about a model. Raises UnknownError, PermissionDeniedError."""
        caller.permits.check_model(name)
        model = self.served.find(name, version)
        manifest = model.bundle.manifest
        return ModelInfo(
            summary=_summary(model),
            input=manifest.input,
            cuts=tuple(
                CutInfo(
                    cut.name,
                    cut.shape,
                    cut.dtype,
                    cut.macs_before,
                    cut.macs_after,
                    tuple((one.shape, one.dtype) for one in cut.more),
                    tuple(one.free for one in cut.crossing) if any(one.free for one in cut.crossing) else (),
                )
                for cut in model.cuts.values()
            ),
            tasks={task.name: task.kind for task in manifest.tasks if caller.permits.allows_task(task.name)},
            codec_stages=tuple(stage.name for stage in featcodec.list_stages()),
            max_frame_bytes=self.max_frame_bytes,
        )

    def submit(
        self,
        request: InferenceRequest,
        caller: Caller = ANYONE,
        *,
        arrived: float | None = None,
        deadline: float | None = None,
    ) -> Answer:
        """Admit a request: a future of the running loop, with the response or a ServiceError.

        `arrived` and `deadline` are readings of `time.perf_counter`. Cancelling the future frees the request's place;
        work that is cancelled, or whose deadline passes while it waits, is never run. A request that carries an id is
        answered once: repeats join it, or get the answer kept.

        Raises
        ------
        OverloadedError, PermissionDeniedError, UnknownError, FingerprintError, InvalidRequestError
        """
        try:
            ended = self._limiter.admit(caller)
            if ended is None:
                return self._admit(request, caller, arrived, deadline)
            try:
                answer = self._admit(request, caller, arrived, deadline)
            except BaseException:
                ended()
                raise
        except ServiceError as error:
            self.observer.refused(error, caller, request)
            raise
        answer.add_done_callback(lambda _: ended())
        return answer

    def infer(
        self,
        request: InferenceRequest,
        *,
        arrived: float | None = None,
        deadline: float | None = None,
        caller: Caller = ANYONE,
    ) -> InferenceResponse:
        """Answer one request on the caller's thread: decode, the remaining layers once, then every head asked for.

        Raises
        ------
        UnknownError, FingerprintError, InvalidRequestError, OverloadedError, LateError, PermissionDeniedError
        """
        arrived = time.perf_counter() if arrived is None else arrived
        try:
            job = self._job(request, caller, arrived, deadline, None)
        except ServiceError as error:
            self.observer.refused(error, caller, request)
            raise
        outcome: Outcome = LateError("the deadline passed before the request reached the network")
        if not job.expired(time.perf_counter()):
            (outcome,) = self.run([job])
        if isinstance(outcome, ServiceError):
            self.observer.failed(job, outcome)
            raise outcome
        self.observer.answered(job, outcome)
        return outcome

    def run(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        """Answer jobs of one group; on a worker's thread."""
        started = time.perf_counter()
        outcomes = run_batch(jobs, self.waiting)
        self.observer.batch(jobs, time.perf_counter() - started)
        return outcomes

    def _admit(
        self, request: InferenceRequest, caller: Caller, arrived: float | None, deadline: float | None
    ) -> Answer:
        if request.request_id:
            return self._repeats.answer(
                caller.identity, request, lambda: self._start(request, caller, arrived, deadline)
            )
        return self._start(request, caller, arrived, deadline)

    def _start(
        self, request: InferenceRequest, caller: Caller, arrived: float | None, deadline: float | None
    ) -> Answer:
        if self._batcher is None:
            self._batcher = Batcher(self.run, self.batching)
        arrived = time.perf_counter() if arrived is None else arrived
        self._batcher.check(caller.share, arrived, deadline)
        answer: Answer = asyncio.get_running_loop().create_future()
        job = self._job(request, caller, arrived, deadline, answer)
        self._batcher.submit(job)
        answer.add_done_callback(lambda done: tell(self.observer, job, done))
        return answer

    def _job(
        self,
        request: InferenceRequest,
        caller: Caller,
        arrived: float,
        deadline: float | None,
        answer: Answer | None,
    ) -> Job:
        if len(request.frame) > self.max_frame_bytes:
            raise OverloadedError(
                f"a frame of {len(request.frame)} bytes is over the limit of {self.max_frame_bytes}; "
                "use a smaller codec",
                reason="frame_size",
            )
        model, cut, heads = self._resolve(request, caller.permits)
        return Job(request, caller, model, cut, heads, arrived, deadline, answer)

    def _forget(self) -> None:
        self._resolved = None

    def _resolve(self, request: InferenceRequest, permits: Permits) -> Resolved:
        """What a request names, as far as `permits` allow it; the same names mean the same until models come or go."""
        key = (request.model, request.version, request.fingerprint, request.cut, request.tasks, permits)
        generation, known = self.served.generation, self._resolved
        if known is None or known[0] != generation or len(known[1]) >= _RESOLVED:
            known = self._resolved = (generation, {})
        found = known[1].get(key)
        if found is None:
            permits.check_model(request.model)
            for task in request.tasks:
                permits.check_task(task)
            model = self.served.find(request.model, request.version, request.fingerprint)
            _check_fingerprint(model, request.fingerprint)
            heads = model.wanted(request.tasks, permits)
            found = known[1][key] = (model, model.cut(request.cut), heads)
        return found


def _summary(model: CloudModel) -> ModelSummary:
    manifest = model.bundle.manifest
    return ModelSummary(manifest.name, manifest.version, model.bundle.fingerprint)


def _check_fingerprint(model: CloudModel, fingerprint: str) -> None:
    ours = model.bundle.fingerprint
    if fingerprint != ours:
        raise FingerprintError(
            f"the edge's bundle {fingerprint[:12]} is not the service's {ours[:12]} "
            f"({model.bundle.manifest.name}); deploy the same bundle on both"
        )
