"""Compression libraries are imported on first use, so that importing featcodec needs numpy alone."""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any

from featcodec.errors import MissingLibraryError


@lru_cache(maxsize=32)
def require(module: str, stage: str, install: str) -> Any:
    """Import `module` for `stage`. Raises MissingLibraryError that says what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingLibraryError(f"stage {stage!r} needs {module}: {install} ({error})") from error
