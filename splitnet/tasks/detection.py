"""Boxes around things."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field

from splitnet.errors import ModelError
from splitnet.tasks.contract import Kind, Setting
from splitnet.tasks.results import Box, Detections, FloatArray

CANDIDATES = 1000
"""Boxes that enter the suppression, best first: its cost grows with their square."""

Share = Annotated[float, Field(ge=0, le=1)]


class DetectionKind(Kind):
    """K candidates of 4 coordinates and C class scores each; those of a class that overlap a better one are dropped.

    `layout` is that of the output: `rows` (K, 4 + C) or `columns` (4 + C, K). `boxes` says what the coordinates are:
    `corners` (x1, y1, x2, y2) or `centre` (x, y, width, height), in pixels of the network's input or, with
    `units="shares"`, in shares of its width and height. Scores are probabilities, or with `scores="logits"` become
    them by a sigmoid. Two boxes overlap by intersection over union.
    """

    needs_image: ClassVar[bool] = True

    layout: Literal["rows", "columns"] = "rows"
    boxes: Literal["corners", "centre"] = "corners"
    units: Literal["pixels", "shares"] = "pixels"
    scores: Literal["probabilities", "logits"] = "probabilities"
    min_score: Share = 0.25
    max_overlap: Share = 0.45
    max_boxes: int = Field(default=100, ge=1, le=CANDIDATES)

    def result(self, output: FloatArray, setting: Setting, top_k: int) -> Detections:
        """Boxes in pixels of the network's input, inside it, best first; `top_k` lowers `max_boxes`."""
        table = output.T if self.layout == "columns" and output.ndim == 2 else output
        if table.ndim != 2 or table.shape[1] < 5:
            raise ModelError(f"detection takes (K, 4 + classes) in {self.layout}; the head's output is {output.shape}")
        scores = table[:, 4:]
        if self.scores == "logits":
            scores = (1 / (1 + np.exp(-scores.astype(np.float64).clip(-80, 80)))).astype(np.float32)
        classes = scores.argmax(axis=1)
        best = scores[np.arange(len(scores)), classes]
        chosen = np.flatnonzero(best >= np.float32(self.min_score))
        chosen = chosen[np.argsort(-best[chosen], kind="stable")][:CANDIDATES]
        corners = self._corners(table[chosen, :4], setting)
        kept = _suppress(corners, classes[chosen], self.max_overlap, min(self.max_boxes, top_k or self.max_boxes))
        found = [(chosen[number], *corners[number].tolist()) for number in kept]
        return Detections(
            tuple(
                Box(x1, y1, x2, y2, float(best[row]), int(classes[row]), _label(setting, int(classes[row])))
                for row, x1, y1, x2, y2 in found
            )
        )

    def _corners(self, boxes: FloatArray, setting: Setting) -> FloatArray:
        """(n, 4) as the head gives them -> x1, y1, x2, y2 in pixels."""
        if self.boxes == "centre":
            half = boxes[:, 2:] / 2
            boxes = np.concatenate([boxes[:, :2] - half, boxes[:, :2] + half], axis=1)
        sides = np.array([setting.width, setting.height] * 2, np.float32)
        if self.units == "shares":
            boxes = boxes * sides
        return np.asarray(np.clip(boxes, 0, sides), np.float32)


def _suppress(corners: FloatArray, classes: FloatArray, max_overlap: float, most: int) -> list[int]:
    """Indices of the boxes that no better one of their class overlaps by more; boxes are sorted, best first."""
    sizes = (corners[:, 2] - corners[:, 0]).clip(0) * (corners[:, 3] - corners[:, 1]).clip(0)
    alive = np.ones(len(corners), bool)
    kept: list[int] = []
    for number in range(len(corners)):
        if not alive[number]:
            continue
        kept.append(number)
        if len(kept) == most:
            break
        low = np.maximum(corners[number, :2], corners[:, :2])
        high = np.minimum(corners[number, 2:], corners[:, 2:])
        common = (high - low).clip(0).prod(axis=1)
        union = sizes[number] + sizes - common
        alive &= (classes != classes[number]) | (common <= max_overlap * union)
    return kept


def _label(setting: Setting, index: int) -> str:
    return setting.labels[index] if index < len(setting.labels) else str(index)
