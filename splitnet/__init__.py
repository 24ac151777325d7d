"""splitnet: split inference for CNNs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from splitnet._version import __version__

if TYPE_CHECKING:
    from splitnet.bundle import Bundle
    from splitnet.edge import AsyncEdge, Edge, Inference
    from splitnet.wire.credentials import Credentials

__all__ = ["AsyncEdge", "Bundle", "Credentials", "Edge", "Inference", "__version__"]

_HOMES = {
    "AsyncEdge": "splitnet.edge",
    "Bundle": "splitnet.bundle",
    "Credentials": "splitnet.wire.credentials",
    "Edge": "splitnet.edge",
    "Inference": "splitnet.edge",
}


def __getattr__(name: str) -> Any:
    # Imported on first use: `import splitnet.bundle` must not pull in ONNX Runtime.
    if name in _HOMES:
        from importlib import import_module

        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'splitnet' has no attribute {name!r}")
