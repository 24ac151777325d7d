"""What sinks that write files share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from splitnet.errors import OutputError


@contextlib.contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """Make an OSError of the block an OutputError that names `path`."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
