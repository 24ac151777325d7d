"""Tasks: from a head's output to a typed result."""

from splitnet.tasks.contract import Kind, Setting
from splitnet.tasks.kinds import KINDS, kind_names, make_kind, post_process
from splitnet.tasks.results import Box, Classification, Custom, Detections, Embedding, Label, Result, Score, Tensor

__all__ = [
    "KINDS",
    "Box",
    "Classification",
    "Custom",
    "Detections",
    "Embedding",
    "Kind",
    "Label",
    "Result",
    "Score",
    "Setting",
    "Tensor",
    "kind_names",
    "make_kind",
    "post_process",
]
