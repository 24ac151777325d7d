"""Tasks: from a head's output to a typed result."""

from splitnet.tasks.kinds import KINDS, post_process
from splitnet.tasks.results import Classification, Embedding, Label, Result, Tensor

__all__ = ["KINDS", "Classification", "Embedding", "Label", "Result", "Tensor", "post_process"]
