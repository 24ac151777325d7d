"""Requests that a client sends again: answered once, whichever of the answers got lost."""

from __future__ import annotations

import asyncio
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from splitnet.cloud.batching import Answer
from splitnet.errors import InvalidRequestError, ServiceError, UnavailableError
from splitnet.wire.exchange import InferenceRequest

Key = tuple[str, bytes]
Content = tuple[object, ...]


@dataclass(slots=True)
class _Entry:
    """The work of one request, and who waits for it; `until` is when its answer is forgotten."""

    work: Answer
    content: Content
    waiting: set[Answer] = field(default_factory=set)
    until: float = 0.0


class Repeats:
    """Answers by client and request id, at most `entries` of them, each for `seconds` after it was given.

    A repeated id joins the work in flight or gets the kept answer. Failures are not kept: what failed may be tried
    again. Belongs to one event loop.
    """

    def __init__(self, entries: int = 2048, seconds: float = 60.0) -> None:
        self._entries, self._seconds = entries, seconds
        self._kept: OrderedDict[Key, _Entry] = OrderedDict()
        self.hits = 0

    def __len__(self) -> int:
        return len(self._kept)

    def answer(self, client: str, request: InferenceRequest, start: Callable[[], Answer]) -> Answer:
        """The answer for a request that carries an id; `start` begins the work where it is new.

        Cancelling what is returned ends the work once nobody else waits for it.

        Raises
        ------
        InvalidRequestError
            if the id was used for another request.
        ServiceError
            whatever `start` raises.
        """
        if not self._entries:
            return start()
        self._expire()
        key, content = (client, request.request_id), _content(request)
        entry = self._kept.get(key)
        if entry is None:
            entry = _Entry(start(), content)
            self._kept[key] = entry
            entry.work.add_done_callback(lambda work: self._done(key, entry))
            while len(self._kept) > self._entries:
                self._evict()
        elif entry.content != content:
            raise InvalidRequestError("the request id was used for another request; draw 16 random bytes for each")
        else:
            self.hits += 1
        return self._follow(entry)

    def _follow(self, entry: _Entry) -> Answer:
        mine: Answer = asyncio.get_running_loop().create_future()
        if entry.work.done():
            _copy(entry.work, mine)
            return mine
        entry.waiting.add(mine)
        mine.add_done_callback(lambda _: self._left(entry, mine))
        return mine

    def _left(self, entry: _Entry, mine: Answer) -> None:
        entry.waiting.discard(mine)
        if not entry.waiting and not entry.work.done():
            entry.work.cancel()

    def _done(self, key: Key, entry: _Entry) -> None:
        failed = entry.work.cancelled() or entry.work.exception() is not None
        if failed and self._kept.get(key) is entry:
            del self._kept[key]
        entry.until = time.monotonic() + self._seconds
        for one in list(entry.waiting):
            if not one.done():
                _copy(entry.work, one)
        entry.waiting.clear()

    def _expire(self) -> None:
        now = time.monotonic()
        while self._kept:
            entry = next(iter(self._kept.values()))
            if not entry.work.done() or entry.until > now:
                return
            self._kept.popitem(last=False)

    def _evict(self) -> None:
        # The oldest answer that is given: work in flight is bounded by the line, and joining it must stay possible.
        for key, entry in self._kept.items():
            if entry.work.done():
                del self._kept[key]
                return
        self._kept.popitem(last=False)


def _content(request: InferenceRequest) -> Content:
    frame = (len(request.frame), zlib.crc32(request.frame))
    return (*frame, request.model, request.cut, request.tasks, request.top_k, request.outputs)


def _copy(work: Answer, to: Answer) -> None:
    if work.cancelled():
        to.set_exception(UnavailableError("the request was given up by its other sender; try again"))
        return
    error = work.exception()
    if error is None:
        to.set_result(work.result())
    else:
        to.set_exception(error if isinstance(error, ServiceError) else UnavailableError("the service failed"))
