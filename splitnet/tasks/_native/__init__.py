"""Native kernels (C++) of the post-processors, each equal to its reference bit for bit.

Right after a network has run, the caches hold its weights and nothing else: there a handful of numpy calls costs a
hundred microseconds, one call of a kernel ten.

`kernels` is the extension module, or None where it was not built or SPLITNET_NATIVE=0 is set; then the references
serve.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any


def _load() -> Any:
    if os.environ.get("SPLITNET_NATIVE") == "0":
        return None
    try:
        return import_module("splitnet.tasks._native.kernels")
    except ImportError:
        return None


kernels: Any = _load()
