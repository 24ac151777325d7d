"""A look at a folder, and which of its files are whole."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

UNFINISHED = (".tmp", ".part")
"""Endings of files that somebody still writes, whatever comes in front."""

State = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Seen:
    """A file as one look found it.

    `place` is its path below the folder, `size` in bytes, `changed` the file's time in nanoseconds, and `at` when it
    was looked at, as a reading of `time.monotonic`.
    """

    place: str
    size: int
    changed: int
    at: float

    @property
    def state(self) -> State:
        """What is another one after every change."""
        return self.size, self.changed


def files_below(
    folder: Path, wanted: Collection[str], *, recursive: bool = True, apart: Path | None = None
) -> Iterator[Seen]:
    """The files in a folder whose lower-case suffix is wanted, in no order.

    What begins with a dot is passed over, files and folders, and so are `UNFINISHED` files, links to folders, links
    that lead outside, sub-folders that cannot be read, and the folder `apart`. Raises OSError where `folder` itself
    cannot be read.
    """
    root = folder.resolve(strict=True)
    waiting = [root]
    while waiting:
        at = waiting.pop()
        try:
            with os.scandir(at) as entries:
                found = list(entries)
        except OSError:
            if at == root:
                raise
            continue
        for entry in found:
            if entry.name.startswith("."):
                continue
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                if recursive and path != apart:
                    waiting.append(path)
            elif path.suffix.lower() in wanted and (seen := _file(path, entry.is_symlink(), root)) is not None:
                yield seen


def is_candidate(name: str) -> bool:
    """Whether a file of this name may be taken at all."""
    return not name.startswith(".") and not name.endswith(UNFINISHED)


def _file(path: Path, link: bool, root: Path) -> Seen | None:
    try:
        # RuntimeError is what a link that leads to itself raises.
        if link and not path.resolve(strict=True).is_relative_to(root):
            return None
        at, status = time.monotonic(), path.stat()
    except (OSError, RuntimeError):
        return None
    if not is_candidate(path.name) or not stat.S_ISREG(status.st_mode):
        return None
    return Seen(str(path.relative_to(root)), status.st_size, status.st_mtime_ns, at)


class Settling:
    """Remembers looks at a folder, to tell which files are whole; holds no more than the last look found.

    `settle` in seconds. Not for several threads at once.
    """

    def __init__(self, settle: float) -> None:
        self._settle = settle
        self._since: dict[str, tuple[State, float]] = {}
        self._done: dict[str, State] = {}

    def ripe(self, look: Iterable[Seen], closed: Collection[str]) -> list[Seen]:
        """The files to take now, oldest first, then by name.

        These are the ones whose place is in `closed`, as whoever wrote them has let go of them, and those that are the
        same as in a look `settle` seconds ago. They come again until `finish` is told.
        """
        since: dict[str, tuple[State, float]] = {}
        done: dict[str, State] = {}
        found = []
        for one in look:
            if self._done.get(one.place) == one.state:
                done[one.place] = one.state
                continue
            state, first = self._since.get(one.place, (one.state, one.at))
            if state != one.state:
                first = one.at
            since[one.place] = (one.state, first)
            if one.place in closed or one.at - first >= self._settle:
                found.append(one)
        self._since, self._done = since, done
        return sorted(found, key=lambda one: (one.changed, one.place))

    def finish(self, one: Seen) -> None:
        """This file, as it is, is not to be taken again."""
        self._since.pop(one.place, None)
        self._done[one.place] = one.state

    @property
    def waiting(self) -> frozenset[str]:
        """Places of the files that are not finished."""
        return frozenset(self._since)

    def pause(self) -> float | None:
        """Seconds until another look may find a file that has settled; None where nothing waits."""
        if not self._since:
            return None
        first = min(since for _, since in self._since.values())
        return max(0.0, first + self._settle - time.monotonic())
