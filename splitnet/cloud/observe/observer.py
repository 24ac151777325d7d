"""What the service core tells whoever watches it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from featcodec import FeatcodecError
from splitnet.errors import CancelledError, InternalError, ServiceError
from splitnet.observe.text import shown

if TYPE_CHECKING:
    import asyncio

    from splitnet.cloud.access.caller import Caller
    from splitnet.cloud.batching import Job
    from splitnet.wire.exchange import InferenceRequest, InferenceResponse


class Observer:
    """Watches a service, and here does nothing.

    Every request ends in exactly one of `answered`, `failed` and `refused`. Calls come from the event loop and from
    the workers' threads, in the middle of serving: they must be safe from any thread, take microseconds, and not raise.
    """

    def answered(self, job: Job, response: InferenceResponse) -> None:
        """A request has its results."""

    def failed(self, job: Job, error: ServiceError) -> None:
        """A request that was admitted has none: its frame is malformed, it was late or cancelled, or we failed."""

    def refused(self, error: ServiceError, caller: Caller, request: InferenceRequest | None = None) -> None:
        """A request was not admitted. What it names was not checked; None where it was not even read."""

    def batch(self, jobs: Sequence[Job], seconds: float) -> None:
        """These requests ran together, from decoding to results."""

    def sent(self, size: int) -> None:
        """An answer of `size` bytes goes out."""

    def stream(self, change: int) -> None:
        """A stream was opened (1) or has ended (-1)."""


class Observers(Observer):
    """Several observers as one, each told in turn."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = tuple(observers)

    def answered(self, job: Job, response: InferenceResponse) -> None:
        for one in self._observers:
            one.answered(job, response)

    def failed(self, job: Job, error: ServiceError) -> None:
        for one in self._observers:
            one.failed(job, error)

    def refused(self, error: ServiceError, caller: Caller, request: InferenceRequest | None = None) -> None:
        for one in self._observers:
            one.refused(error, caller, request)

    def batch(self, jobs: Sequence[Job], seconds: float) -> None:
        for one in self._observers:
            one.batch(jobs, seconds)

    def sent(self, size: int) -> None:
        for one in self._observers:
            one.sent(size)

    def stream(self, change: int) -> None:
        for one in self._observers:
            one.stream(change)


def tell(observer: Observer, job: Job, answer: asyncio.Future[InferenceResponse]) -> None:
    """Tell how a request ended whose future is done."""
    if answer.cancelled():
        observer.failed(job, CancelledError("the request was cancelled"))
        return
    error = answer.exception()
    if error is None:
        observer.answered(job, answer.result())
    elif isinstance(error, ServiceError):
        observer.failed(job, error)
    else:
        observer.failed(job, InternalError())


def message(error: ServiceError) -> str:
    """What went wrong, fit for logs and pages: without the codec's own words, which may quote bytes of the frame."""
    text = str(error)
    return shown(text.partition(":")[0] if isinstance(error.__cause__, FeatcodecError) else text, 300)


def reason(error: ServiceError) -> str:
    """Why a request has no result, in a word that is one of few: a label of metrics."""
    return error.reason or error.code.lower()
