"""Lines of a stream, read by a thread that keeps nobody waiting."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import IO

from splitnet.errors import SourceError

LONGEST = 65_536
"""Bytes of a line that are kept; no path is longer."""
_CHUNK = 65_536

Line = bytes | None
"""Without its end; None is the end of all."""


class LineReader:
    """Reads a line only when it is asked for one, and keeps it until `advance`.

    Its thread does not keep the process from ending, and outlives whoever asked: another may go on.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._lines = _lines(stream)
        self._asked: SimpleQueue[Future[Line]] = SimpleQueue()
        self._line: Future[Line] | None = None
        self._thread = threading.Thread(target=self._read, name="lines", daemon=True)

    async def peek(self) -> Line:
        """The line at hand. Raises SourceError."""
        loop, arrived = asyncio.get_running_loop(), asyncio.Event()

        def tell(_: Future[Line]) -> None:
            # Nobody may be there any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(arrived.set)

        if self._line is None:
            self._line = Future()
            self._asked.put(self._line)
            if self._thread.ident is None:
                self._thread.start()
        line = self._line
        line.add_done_callback(tell)
        await arrived.wait()
        return line.result()

    def advance(self) -> None:
        """Be done with the line at hand; the end stays the end."""
        if self._line is not None and self._line.result() is not None:
            self._line = None

    def _read(self) -> None:
        while True:
            answer = self._asked.get()
            try:
                line = next(self._lines, None)
            except (OSError, ValueError) as error:  # ValueError: it is closed
                answer.set_exception(SourceError(f"the paths cannot be read: {error}"))
                return
            answer.set_result(line)
            if line is None:
                return


def _lines(stream: IO[bytes]) -> Iterator[bytes]:
    # A buffered stream's `read` would wait until a whole chunk is there.
    read: Callable[[int], Line] = getattr(stream, "read1", stream.read)
    line = b""
    while chunk := read(_CHUNK):
        first, *others = chunk.split(b"\n")
        line = (line + first)[:LONGEST]
        for other in others:
            yield line
            line = other[:LONGEST]
    if line:
        yield line
