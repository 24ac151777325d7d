"""What a task answers for one input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

FloatArray = np.ndarray[Any, np.dtype[np.float32]]


@dataclass(frozen=True, slots=True)
class Label:
    """One class: its index, its words and its probability (0 to 1)."""

    index: int
    label: str
    probability: float


@dataclass(frozen=True, slots=True)
class Classification:
    """The most probable classes, best first."""

    top: tuple[Label, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A vector of unit length, float32, shape (D,)."""

    values: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A task's output as it is, float32, without the batch dimension."""

    values: FloatArray


Result = Classification | Embedding | Tensor
