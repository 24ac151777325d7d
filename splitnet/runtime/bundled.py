"""Graphs out of a bundle."""

from __future__ import annotations

from splitnet.bundle import Bundle
from splitnet.runtime.onnxruntime_engine import OnnxGraph


def load_graph(bundle: Bundle, path: str, *, threads: int = 1) -> OnnxGraph:
    """Load one graph of a bundle from the very bytes whose SHA-256 was checked.

    Raises
    ------
    BundleError
        if the file is missing or altered.
    ModelError
        if ONNX Runtime cannot load it.
    """
    return OnnxGraph(bundle.open_bytes(path), name=path, threads=threads)
