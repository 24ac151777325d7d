"""Edge graphs in fewer bits: smaller files and, with 8-bit integers, shorter runs on a device.

Needs the extra ``[train]``; the graphs it makes need ONNX Runtime alone.
"""

from splitnet.precision.apply import Precision, set_edge_precision
from splitnet.precision.compare import PrecisionReport

__all__ = ["Precision", "PrecisionReport", "set_edge_precision"]
