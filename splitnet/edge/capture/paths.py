"""Paths as people read them."""

from __future__ import annotations

import os
from pathlib import Path


def shown(path: Path) -> str:
    """The path as text that every sink can write: bytes that are no UTF-8 become escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
