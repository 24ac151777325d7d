"""Engines that run a graph: ONNX Runtime by default."""

from splitnet.runtime.graph import Array, Graph, TensorSpec

__all__ = ["Array", "Graph", "TensorSpec"]
