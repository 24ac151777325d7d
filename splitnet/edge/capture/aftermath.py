"""What becomes of a file that is answered."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import structlog

from splitnet.edge.capture.paths import shown
from splitnet.edge.capture.scan import State
from splitnet.files import sync_folder

log = structlog.get_logger("splitnet.sources")

_NO_LINKS = (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS)
"""What a filesystem says that has no hard links, or a system that allows none to the files of others."""


class Aftermath:
    """Keeps, deletes or moves files of a folder; a move keeps sub-folders and never overwrites.

    Blocks, so it is for a thread; several may use it at once.
    """

    def __init__(self, folder: Path, after: Literal["keep", "delete", "move"], moved_to: Path | None = None) -> None:
        self._folder, self._after, self._moved_to = folder, after, moved_to

    @property
    def does_something(self) -> bool:
        """Whether files are touched at all."""
        return self._after != "keep"

    def carry_out(self, place: str, state: State) -> None:
        """Be done with one file, unless it is another one by now. A failure is a line in the log."""
        path = self._folder / place
        try:
            status = path.stat()
            if (status.st_size, status.st_mtime_ns) != state:
                return
            if self._after == "delete":
                path.unlink()
            elif self._moved_to is not None:
                move(path, self._moved_to / place)
        except FileNotFoundError:
            # Somebody else took it away.
            return
        except OSError as error:
            reason = error.strerror or str(error)
            log.warning("a file that is answered stays where it is", path=shown(path), after=self._after, reason=reason)


def move(path: Path, target: Path) -> Path:
    """Move a file, across filesystems too: its new path, which is `target` or, where that is taken, ``NAME (2)``.

    Under its new name it appears all at once, and nothing is ever overwritten. Raises OSError; the file is where it was
    then.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        return _renamed(path, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    copy = _copied(path, target.parent)
    try:
        found = _renamed(copy, target)
    except OSError:
        copy.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)
    _remove(path, found)
    return found


def _renamed(path: Path, target: Path) -> Path:
    for name in _names(target):
        with contextlib.suppress(FileExistsError):
            return _given(path, name)
    raise AssertionError("names are without end")


def _given(path: Path, name: Path) -> Path:
    """Give a file another name of the same filesystem. Raises FileExistsError where that is taken, OSError."""
    try:
        os.link(path, name, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return _replaced(path, name)
    _remove(path, name)
    return name


def _replaced(path: Path, name: Path) -> Path:
    """Without links: an empty file keeps the name free for us, until the other takes its place."""
    name.touch(exist_ok=False)
    try:
        return path.replace(name)
    except OSError:
        name.unlink(missing_ok=True)
        raise


def _remove(path: Path, found: Path) -> None:
    """Take the old name away; where that fails, the new one, so that the file is not there twice."""
    try:
        path.unlink()
    except OSError:
        found.unlink(missing_ok=True)
        raise


def _copied(path: Path, folder: Path) -> Path:
    """A copy on the other filesystem, safe on its disk, under a name that no source takes."""
    descriptor, name = tempfile.mkstemp(prefix=".", suffix=".part", dir=folder)
    copy = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as stream, path.open("rb") as original:
            shutil.copyfileobj(original, stream)
            stream.flush()
            shutil.copystat(path, copy)
            os.fsync(stream.fileno())
    except OSError:
        copy.unlink(missing_ok=True)
        raise
    return copy


def _names(target: Path) -> Iterator[Path]:
    yield target
    for number in itertools.count(2):
        yield target.with_name(f"{target.stem} ({number}){target.suffix}")
