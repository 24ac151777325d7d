"""Records as lines of JSON, appended to a file."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from splitnet.edge.daemon.record import Record
from splitnet.edge.sinks.durable import output_errors
from splitnet.edge.sinks.payload import json_bytes
from splitnet.errors import OutputError
from splitnet.files import sync_folder

STANDARD_OUTPUT = "-"

_BEGINNING = b'{"id":"'
_BLOCK = 1 << 16
_LONGEST = 64 << 20
"""Bytes of a line that is read again: more than the largest answer makes, and a bound for files that are not ours."""

_TAIL = 256


class JsonLines:
    """Appends to the file at `path`; one that is called `-` is standard output.

    A file that was moved away or replaced (rotation) is left to whoever did it: the next record begins a new one. What
    is no regular file, a pipe or standard output, takes records without a promise for what comes after a crash.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1
        self._regular = False
        self._mark = ""
        self._begun: int | None = None

    @property
    def mark(self) -> str:
        """Bytes that are written, the file's inode, and a digest of the last of these bytes.

        The number of an inode is used again for the file that takes its place; ids and times tell the two apart.
        """
        return self._mark

    def resume(self, mark: str) -> Iterable[str]:
        """Cut off a line that was begun; yield the ids after `mark`, or all where it is another file's, or no mark."""
        self._mark = mark
        with output_errors(self._path):
            self._follow()
            if not self._regular:
                return ()
            # A killed process leaves lines that are in memory only, and an id that is yielded is never written again.
            os.fsync(self._descriptor)
            size = os.fstat(self._descriptor).st_size
            offset = mark.partition(" ")[0]
            start = int(offset) if offset.isdecimal() else 0
            if start > size or self._mark_at(start) != mark:
                start = 0
        return self._ids(start, size)

    def write(self, records: Sequence[Record]) -> None:
        """Append all of these; where that fails, the file ends as before. Raises OutputError."""
        lines = b"".join(json_bytes(record) + b"\n" for record in records)
        with output_errors(self._path):
            self._follow()
            if self._regular:
                self._append(lines)
            else:
                _write_all(self._descriptor, lines)

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0 and self._path.name != STANDARD_OUTPUT:
            os.close(self._descriptor)
        self._descriptor, self._begun = -1, None

    def _append(self, lines: bytes) -> None:
        before = os.fstat(self._descriptor).st_size
        try:
            _write_all(self._descriptor, lines)
            os.fsync(self._descriptor)
        except OSError:
            self._begun = before
            # Where this fails, too, the next write begins with it.
            with contextlib.suppress(OSError):
                self._cut_back()
            raise
        self._mark = self._mark_at(before + len(lines))

    def _cut_back(self) -> None:
        if self._begun is not None:
            # Rotation may have emptied the file meanwhile.
            os.ftruncate(self._descriptor, min(self._begun, os.fstat(self._descriptor).st_size))
            self._begun = None

    def _follow(self) -> None:
        """Have the file open that is at the path now, with a whole record at its end."""
        if self._regular and self._descriptor >= 0 and self._moved():
            self.close()
        if self._descriptor < 0:
            self._open()
        self._cut_back()

    def _moved(self) -> bool:
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return True

    def _open(self) -> None:
        if self._path.name == STANDARD_OUTPUT:
            self._descriptor, self._regular = 1, False
            return
        regular = self._path.is_file() or not self._path.exists()
        # A pipe that nobody reads is an error, not a wait.
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND if regular else os.O_WRONLY | os.O_NONBLOCK
        descriptor = os.open(self._path, flags | os.O_CLOEXEC, 0o666)
        try:
            os.set_blocking(descriptor, True)
            if regular:
                self._repair(descriptor)
                sync_folder(self._path.resolve().parent)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor, self._regular = descriptor, regular

    def _repair(self, descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        end = _end_of_lines(descriptor, size)
        if end == size:
            return
        torn = os.pread(descriptor, len(_BEGINNING), end)
        # After a power loss some file systems have zeros where nothing was written yet.
        if not _BEGINNING.startswith(torn.rstrip(b"\0")):
            raise OutputError(f"{self._path} ends in the middle of what is no record: name a new file")
        os.ftruncate(descriptor, end)

    def _mark_at(self, offset: int) -> str:
        start = max(0, offset - _TAIL)
        digest = hashlib.sha256(os.pread(self._descriptor, offset - start, start)).hexdigest()[:16]
        return f"{offset} {os.fstat(self._descriptor).st_ino} {digest}"

    def _ids(self, start: int, end: int) -> Iterator[str]:
        # Not through the descriptor, whose position moves with what is appended meanwhile.
        with output_errors(self._path), self._path.open("rb") as stream:
            stream.seek(start)
            begins = True
            while start < end and (part := stream.readline(_LONGEST)):
                start += len(part)
                ends = part.endswith(b"\n")
                if begins and ends and (found := _id_of(part)):
                    yield found
                begins = ends


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _end_of_lines(descriptor: int, size: int) -> int:
    """The offset after the last newline."""
    end = size
    while end > 0:
        start = max(0, end - _BLOCK)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


def _id_of(line: bytes) -> str:
    """The id of a record; empty where the line is something else."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return ""
    found = value.get("id") if isinstance(value, dict) else None
    return found if isinstance(found, str) else ""
