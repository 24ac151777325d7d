"""One daemon for a state folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from splitnet.errors import OutputError, UsageError


@contextmanager
def only_daemon(state: Path) -> Iterator[None]:
    """Hold the folder, made where there is none. Raises OutputError, or UsageError where another daemon has it."""
    path = state / "lock"
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise OutputError(f"state {state} cannot be written: {error.strerror or error}") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"another daemon uses the state {state}; stop it, or choose another folder") from error
        yield
    finally:
        os.close(descriptor)
