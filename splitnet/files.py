"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from splitnet.errors import OutputError


def check_writable(path: Path) -> None:
    """Try, before long work, whether `write_whole(path, ..., folders=True)` could write here. Raises OutputError."""
    write_whole(path.with_name(f".{path.name}.try"), lambda stream: None, folders=True)
    path.with_name(f".{path.name}.try").unlink()
    if path.is_dir():
        raise OutputError(f"cannot write {path}: it is a folder; name a file")


def write_whole(
    path: Path, write: Callable[[BinaryIO], object], *, folders: bool = False, durable: bool = False
) -> None:
    """Let `write` fill a temporary file beside `path`, then move it there; with `folders` they are made where missing.

    With `durable` it is safe against power loss, too, before this returns.

    Raises
    ------
    OutputError
        if that fails: no permission, no space. What was at `path` is untouched then, and nothing half-written stays.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        if folders:
            path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            write(stream)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        temporary.replace(path)
        if durable:
            sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error


def sync_folder(folder: Path) -> None:
    """Make the names in a folder safe against power loss. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
