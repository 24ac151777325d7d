"""Native kernels (C++), each equal to its numpy reference bit for bit.

`kernels` is the extension module, or None where it was not built or FEATCODEC_NATIVE=0 is set; then the references
serve.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any


def _load() -> Any:
    if os.environ.get("FEATCODEC_NATIVE") == "0":
        return None
    try:
        return import_module("featcodec._native.kernels")
    except ImportError:
        return None


kernels: Any = _load()
