"""One admitted request on its way through the service."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass, field

from splitnet.bundle.manifest import Cut
from splitnet.cloud.access.caller import Caller
from splitnet.cloud.decoding import Content, decode_frame
from splitnet.cloud.model import CloudModel, Head
from splitnet.errors import InternalError, ServiceError
from splitnet.wire.exchange import InferenceRequest, InferenceResponse

Answer = asyncio.Future[InferenceResponse]
Outcome = InferenceResponse | ServiceError
Group = tuple[object, ...]


@dataclass(eq=False, slots=True)
class Job:
    """A request with what it resolved to. It holds its model, so a model that is unloaded meanwhile stays until then.

    `arrived` and `deadline` are readings of `time.perf_counter`; `answer` belongs to the loop of
    `submit`, and is None where a thread waits.
    """

    request: InferenceRequest
    caller: Caller
    model: CloudModel
    cut: Cut
    heads: tuple[Head, ...]
    arrived: float
    deadline: float | None
    answer: Answer | None
    group: Group = field(init=False)
    size: int = field(init=False)
    decode_seconds: float = 0.0
    _content: Content | None = None
    _error: ServiceError | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        # What runs in one batch: the same graphs for the same answers. The model by identity: another bundle of the
        # same fingerprint is loaded anew, and each batch is run by one of them.
        self.group = (id(self.model), self.cut.name, *(head.task.name for head in self.heads))
        if not self.model.batches:
            # A network exported with a fixed batch takes one at a time.
            self.group += (id(self),)
        self.size = len(self.request.frame)

    @property
    def client(self) -> str:
        """Who gets a fair share."""
        return self.caller.share

    @property
    def priority(self) -> int:
        """Higher is served first; never more than the caller may ask for."""
        return min(self.request.priority, self.caller.permits.max_priority)

    @property
    def cancelled(self) -> bool:
        """Whether the caller has given up."""
        return self.answer is not None and self.answer.cancelled()

    def expired(self, now: float) -> bool:
        """Whether nobody waits for the answer any more."""
        return self.deadline is not None and now >= self.deadline

    def decode(self) -> Content:
        """The frame's content, decoded by whichever thread comes first. Raises ServiceError, the same each time."""
        with self._lock:
            if self._content is None and self._error is None:
                started = time.perf_counter()
                try:
                    self._content = decode_frame(self.request.frame, self.model, self.cut)
                except ServiceError as error:
                    self._error = error
                except Exception as error:  # noqa: BLE001 - a defect of ours: logged where the batch runs
                    self._error = InternalError()
                    self._error.__cause__ = error
                self.decode_seconds = time.perf_counter() - started
        if self._error is not None:
            raise self._error
        assert self._content is not None
        return self._content
