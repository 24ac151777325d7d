"""What must be put in order when the process is told to end (SIGTERM)."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from types import FrameType

TERMINATED = 143
"""Exit code: 128 + SIGTERM, as shells count."""

_pending: list[Callable[[], object]] = []


@contextlib.contextmanager
def on_termination(cleanup: Callable[[], object]) -> Iterator[None]:
    """Call `cleanup` if the process is terminated inside the block; the block's own end is not its business."""
    _pending.append(cleanup)
    try:
        yield
    finally:
        _pending.remove(cleanup)


def terminate(number: int, frame: FrameType | None) -> None:
    """Signal handler: run what is pending, last first, and end.

    Not an exception: raised at any place, it would also surface inside extension modules that are being imported, which
    crash, and inside libraries that catch everything.
    """
    for cleanup in reversed(_pending):
        with contextlib.suppress(Exception):
            cleanup()
    os._exit(TERMINATED)
