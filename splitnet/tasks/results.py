"""What a task answers for one input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class Score:
    """One number (a float32) and its verdict, by the thresholds that the bundle declares."""

    value: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Box:
    """A thing at (x1, y1) to (x2, y2), in pixels of the network's input; `score` is its class's, from 0 to 1."""

    x1: float
    y1: float
    x2: float
    y2: float
    score: float
    index: int
    label: str


@dataclass(frozen=True, slots=True)
class Detections:
    """Boxes, best first."""

    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Custom:
    """A result of an installed package's kind: its name, JSON types, and float32 tensors by name."""

    kind: str
    data: Any = None
    tensors: Mapping[str, FloatArray] = field(default_factory=dict)


Result = Classification | Embedding | Tensor | Score | Detections | Custom
