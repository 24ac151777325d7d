"""The device's half: sources, encoder, link and the Python API. Never imports torch."""

from splitnet.edge.client import AsyncEdge, Edge, Inference
from splitnet.edge.trace import Trace

__all__ = ["AsyncEdge", "Edge", "Inference", "Trace"]
