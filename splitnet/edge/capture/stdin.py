"""Paths on standard input."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from functools import cache
from math import inf
from pathlib import Path
from typing import BinaryIO

from splitnet.edge.capture.contract import Intake
from splitnet.edge.capture.lines import LineReader
from splitnet.edge.capture.paths import shown
from splitnet.edge.config.sources import StdinSource
from splitnet.edge.daemon.item import Item, stable_id
from splitnet.errors import SourceError


class PathLines:
    """A source of the files whose paths come on standard input, one a line, relative to the working directory.

    An item's id is made of the source and the file's resolved path, size and time, and of nothing else: a file that
    comes twice is answered once. One that does not exist is offered too, known by its path alone: its record says what
    is wrong with it.

    `stream` takes the place of standard input.
    """

    def __init__(self, name: str, section: StdinSource, stream: BinaryIO | None = None) -> None:
        self._name, self._section = name, section
        self._reader = None if stream is None else LineReader(stream)

    async def run(self, intake: Intake) -> None:
        """As `Source.run`. Raises SourceError where standard input cannot be read."""
        if self._reader is None:
            self._reader = _standard_input()
        while (line := await self._reader.peek()) is not None:
            if line.strip():
                await self._offer(intake, Path(os.fsdecode(line.removesuffix(b"\r"))))
            # Only now, so that a line is not lost where this is cancelled before.
            self._reader.advance()

    async def _offer(self, intake: Intake, path: Path) -> None:
        item_id = await asyncio.to_thread(_known_by, self._name, path)
        if not intake.known(item_id):
            await intake.offer(Item(self._name, shown(path), path, item_id, remember=inf))


def _known_by(source: str, path: Path) -> str:
    try:
        where = path.resolve(strict=True)
        status = where.stat()
    except (OSError, RuntimeError, ValueError):  # links in a ring, a zero byte
        return stable_id(source, str(path.absolute()))
    return stable_id(source, str(where), status.st_size, status.st_mtime_ns)


@cache
def _standard_input() -> LineReader:
    """One for the process, so that a line that was read for a source before a reload is there for the one after it."""
    try:
        # Past the buffered reader, whose lock a thread that waits for input would hold when the process ends.
        return LineReader(io.FileIO(sys.stdin.fileno(), closefd=False))
    except (AttributeError, OSError, ValueError) as error:
        raise SourceError(f"there is no standard input: {error}") from error
