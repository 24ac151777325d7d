"""Write a bundle all at once or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Self

from splitnet.bundle.load import Bundle
from splitnet.bundle.manifest import MANIFEST, File, Manifest
from splitnet.bundle.signature import SIGNATURE
from splitnet.errors import BundleError, OutputError, UsageError
from splitnet.termination import on_termination


def check_target(directory: Path) -> None:
    """Raise UsageError unless `directory` is free, empty, or a bundle with nothing else in it, to be
    replaced.
    """
    if not directory.exists():
        return
    if not directory.is_dir():
        raise UsageError(f"{directory} exists and is not a directory: choose another place for the bundle")
    try:
        present = {path.relative_to(directory).as_posix() for path in directory.rglob("*") if not path.is_dir()}
    except OSError as error:
        raise OutputError(f"cannot look into {directory}: {error.strerror or error}") from error
    if not present:
        return
    try:
        listed = {file.path for file in Bundle.load(directory, half="edge").manifest.files} | {MANIFEST, SIGNATURE}
    except BundleError as error:
        raise UsageError(f"{directory} holds something else than a whole bundle ({error}): choose another") from error
    foreign = sorted(present - listed)
    if foreign:
        raise UsageError(f"{directory} also holds {foreign[0]!r}, which is not part of its bundle: choose another")


class Staging:
    """A bundle in the making, beside its place; moved there by `publish`, or removed.

    Whoever loads the bundle meanwhile finds the old one or the new one, but for the instant between two renames; after
    any failure the old one is there, and nothing else. Use it as a context manager.

    Raises
    ------
    UsageError
        if something that is not a bundle is in the way, see `check_target`.
    OutputError
        if it cannot be written: no permission, no space. So do `add` and `publish`.
    """

    def __init__(self, directory: Path) -> None:
        # Through links, so that the bundle behind a link is replaced and not the link.
        self._target = directory.resolve()
        check_target(self._target)
        self._files: dict[str, File] = {}
        with _output_errors(self._target):
            self._target.parent.mkdir(parents=True, exist_ok=True)
            self._work = Path(tempfile.mkdtemp(prefix=f".{self._target.name}.", dir=self._target.parent))
            # Not the temporary directory itself, which only its owner may enter.
            self.path = self._work / "new"
            self.path.mkdir()

    def __enter__(self) -> Self:
        self._terminated = on_termination(self._abandon)
        self._terminated.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._terminated.__exit__(None, None, None)
        shutil.rmtree(self._work, ignore_errors=True)

    def _abandon(self) -> None:
        # Between the two renames of `publish` the old bundle lies in the temporary directory alone.
        if not self._target.exists() and (self._work / "old").exists():
            (self._work / "old").rename(self._target)
        shutil.rmtree(self._work, ignore_errors=True)

    @property
    def files(self) -> tuple[File, ...]:
        """The manifest's entries for what was added, sorted by path."""
        return tuple(self._files[path] for path in sorted(self._files))

    def add(self, path: str, data: bytes) -> str:
        """Write one file and return its path inside the bundle."""
        with _output_errors(self._target):
            _write(self.path / path, data)
        self._files[path] = File(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        return path

    def keep(self, bundle: Bundle, dropped: Collection[str | None]) -> None:
        """Add every file of a bundle but those in `dropped`. Raises BundleError for one that was altered."""
        for file in bundle.manifest.files:
            if file.path not in dropped:
                self.add(file.path, bundle.open_bytes(file.path))

    def publish(self, manifest: Manifest) -> None:
        """Write the manifest and move everything to its place."""
        with _output_errors(self._target):
            _write(self.path / MANIFEST, manifest.canonical())
            replace(self.path, self._target, self._work / "old")


@contextlib.contextmanager
def _output_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write the bundle {target}: {error.strerror or error}") from error


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        # Some file systems report a full disk only here.
        os.fsync(stream.fileno())


def replace(fresh: Path, target: Path, old: Path) -> None:
    """Move a directory to its place, what was there to `old`; after a failure it is back. Raises OSError."""
    if not target.exists():
        fresh.rename(target)
        return
    target.rename(old)
    try:
        fresh.rename(target)
    except BaseException:
        with contextlib.suppress(OSError):
            old.rename(target)
        raise
