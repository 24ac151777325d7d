"""Write a bundle all at once or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from splitnet.bundle.load import MANIFEST, Bundle
from splitnet.bundle.manifest import File, Manifest
from splitnet.errors import BundleError, OutputError, UsageError


def describe(contents: Mapping[str, bytes]) -> tuple[File, ...]:
    """The manifest's entries for files with these contents, sorted by path."""
    return tuple(
        File(path=path, size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for path, data in sorted(contents.items())
    )


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
        listed = {file.path for file in Bundle.load(directory).manifest.files} | {MANIFEST}
    except BundleError as error:
        raise UsageError(f"{directory} holds something else than a whole bundle ({error}): choose another") from error
    foreign = sorted(present - listed)
    if foreign:
        raise UsageError(f"{directory} also holds {foreign[0]!r}, which is not part of its bundle: choose another")


def write_bundle(directory: Path, manifest: Manifest, contents: Mapping[str, bytes]) -> Bundle:
    """Write `contents` and `manifest` to `directory`, which `check_target` must allow.

    All is written beside the target first and moved there in the end: whoever loads the bundle meanwhile
    finds the old one or the new one, but for the instant between two renames; after any failure the old one
    is there, and nothing else.

    Raises
    ------
    UsageError
        if something that is not a bundle is in the way.
    OutputError
        if it cannot be written: no permission, no space.
    """
    # Through links, so that the bundle behind a link is replaced and not the link.
    target = directory.resolve()
    check_target(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise OutputError(f"cannot write beside {target}: {error.strerror or error}") from error
    try:
        fresh = work / "new"
        fresh.mkdir()
        for path, data in {**contents, MANIFEST: manifest.canonical()}.items():
            _write(fresh / path, data)
        _replace(fresh, target, work / "old")
    except OSError as error:
        raise OutputError(f"cannot write the bundle {target}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Bundle.load(directory)


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        # Some file systems report a full disk only here.
        os.fsync(stream.fileno())


def _replace(fresh: Path, target: Path, old: Path) -> None:
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
