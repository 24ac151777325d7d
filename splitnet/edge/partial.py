"""A bundle that is being fetched: what has come so far, beside its place."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from splitnet.bundle import Bundle
from splitnet.bundle.load import Half, parse_manifest
from splitnet.bundle.manifest import MANIFEST, File, Manifest
from splitnet.bundle.signature import SIGNATURE_BYTES, read_signature, write_signature
from splitnet.bundle.write import check_target, replace
from splitnet.errors import BundleError, InternalError, OutputError, UsageError


class Partial:
    """Files of one bundle, in the manifest's order; kept after a break, so that the next attempt goes on there.

    Everything lies in a directory `.NAME.fetch` beside the target until all of it is verified; see `open_partial`.
    """

    def __init__(self, target: Path, work: Path, half: Half) -> None:
        self._target, self._work, self._half = target, work, half
        self._new = work / "new"
        self.manifest: Manifest | None = None
        if (self._new / MANIFEST).is_file():
            try:
                self.manifest = parse_manifest((self._new / MANIFEST).read_bytes(), self._new)
            except BundleError:
                self.discard()

    def discard(self) -> None:
        """Begin anew."""
        shutil.rmtree(self._new, ignore_errors=True)
        self.manifest = None

    def begin(self, manifest: Manifest, signature: bytes = b"") -> None:
        """Keep the manifest of what comes, and its signature if there is one. Raises OutputError."""
        if self.manifest is None or self.manifest.fingerprint() != manifest.fingerprint():
            self.discard()
            with self._output_errors():
                self._new.mkdir(exist_ok=True)
                (self._new / MANIFEST).write_bytes(manifest.canonical())
            self.manifest = manifest
        if len(signature) == SIGNATURE_BYTES:
            write_signature(self._new, signature)

    @property
    def signature(self) -> bytes:
        """What came with the manifest; empty where nothing did. Raises BundleError where it was damaged since."""
        return read_signature(self._new)

    def files(self) -> tuple[File, ...]:
        """The files that are to come or have come."""
        assert self.manifest is not None
        return self.manifest.files if self._half == "whole" else self.manifest.edge_files

    def missing(self) -> tuple[File, int] | None:
        """The first file that is not complete, and how many of its bytes are here; None where all are."""
        for file in self.files():
            path = self._new / file.path
            size = path.stat().st_size if path.is_file() else 0
            if size > file.size:
                path.unlink()
                size = 0
            if size < file.size or not path.is_file():
                return file, size
        return None

    def append(self, file: File, offset: int, data: bytes) -> None:
        """Write bytes of a file; at its end its SHA-256 is checked.

        Raises
        ------
        InternalError
            if it is another file than the manifest's; it is removed then.
        OutputError
            if it cannot be written.
        """
        path = self._new / file.path
        with self._output_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("r+b" if offset else "wb") as stream:
                stream.seek(offset)
                stream.write(data)
                stream.truncate()
                if offset + len(data) == file.size:
                    stream.flush()
                    os.fsync(stream.fileno())
        if offset + len(data) == file.size:
            self._check(file)

    def finish(self) -> Bundle:
        """Check everything once more and move it to its place. Raises InternalError, OutputError."""
        for file in self.files():
            self._check(file)
        with self._output_errors():
            replace(self._new, self._target, self._work / "old")
            shutil.rmtree(self._work, ignore_errors=True)
        return Bundle.load(self._target, half=self._half)

    def _check(self, file: File) -> None:
        assert self.manifest is not None
        try:
            Bundle(self._new, self.manifest).open_bytes(file.path)
        except BundleError as error:
            (self._new / file.path).unlink(missing_ok=True)
            raise InternalError(f"the server's {file.path} is not the one that its manifest lists: {error}") from error

    @contextlib.contextmanager
    def _output_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"cannot write the bundle {self._target}: {error.strerror or error}") from error


@contextlib.contextmanager
def open_partial(target: Path, half: Half) -> Iterator[Partial]:
    """What there is of the bundle for `target`, for one process at a time.

    Raises
    ------
    UsageError
        if something else than a bundle is at the target, or another process fetches to it.
    OutputError
        if there is no writing beside it.
    """
    target = target.resolve()
    check_target(target)
    work = target.parent / f".{target.name}.fetch"
    try:
        work.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(work, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise OutputError(f"cannot write the bundle {target}: {error.strerror or error}: {work}") from error
    try:
        status = os.fstat(descriptor)
        # In a folder that others can write to, the name could have been taken with something in it.
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
            raise UsageError(f"{work} is not this user's alone: remove it")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"another process fetches to {target} already") from error
        yield Partial(target, work, half)
    finally:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            # Only where it is empty: what came so far is kept.
            work.rmdir()
