"""One heap for all threads of a process."""

from __future__ import annotations

import ctypes

_ARENA_MAX = -8
"""glibc's M_ARENA_MAX, from malloc.h."""


def share_heap() -> None:
    """Let threads that start from now on allocate from one heap instead of one each; does nothing without glibc.

    gRPC's threads allocate for connections what others free, and each heap keeps the most that it ever held.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, 1)
