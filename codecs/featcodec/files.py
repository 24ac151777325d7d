"""Reading and writing the command's files, with errors that name the file and the cause."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from featcodec.contract import Array


class ReadError(Exception):
    """An input file cannot be read; the caller names the file."""


class WriteError(Exception):
    """An output file cannot be written; the message names it."""


def read_bytes(path: Path) -> bytes:
    """The file's bytes. Raises ReadError."""
    try:
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise ReadError(f"cannot be read: {_reason(error)}") from error


def read_array(path: Path) -> Array:
    """The array of an .npy file, never unpickling anything. Raises ReadError."""
    try:
        with path.open("rb") as file:
            array: Any = np.lib.format.read_array(file, allow_pickle=False)
    except OSError as error:
        raise ReadError(f"cannot be read: {_reason(error)}") from error
    # numpy lets many kinds out for a header it cannot make sense of.
    except (ValueError, TypeError, KeyError, SyntaxError, EOFError, MemoryError, OverflowError) as error:
        if "Object arrays" in str(error):
            raise ReadError("holds Python objects; save a numeric array instead") from error
        raise ReadError(f"is not a valid .npy file: {error or type(error).__name__}") from error
    return np.asarray(array)


def write_array(path: Path, array: Array) -> None:
    """Write an .npy file, whole or not at all. Raises WriteError."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    write(path, buffer.getbuffer())


def write(path: Path, data: bytes | memoryview) -> None:
    """Write a file whole or not at all: to a temporary file beside it, then renamed. Raises WriteError."""
    try:
        if path.exists() and not path.is_file():
            # A pipe or device is written to, never replaced by a file.
            with path.open("wb") as special:
                special.write(data)
            return
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
            mask = os.umask(0)
            os.umask(mask)
            Path(name).chmod(0o666 & ~mask)
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        raise WriteError(f"{path}: cannot be written: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
