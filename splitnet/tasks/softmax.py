"""What every answer needs right after the network has run: finite numbers, and the most probable classes."""

from __future__ import annotations

import math

import numpy as np

from splitnet.tasks._native import kernels
from splitnet.tasks.results import FloatArray


def all_finite(values: FloatArray) -> bool:
    """Whether no value is NaN or infinite; any shape."""
    if kernels is None or not _plain(values):
        return bool(np.isfinite(values).all())
    found: bool = kernels.all_finite(values.reshape(-1))
    return found


def top_classes(logits: FloatArray, count: int) -> tuple[list[int], list[float]]:
    """Indices and softmax probabilities of the `count` largest of finite logits (K,), largest first.

    The lower index wins a tie, on every machine. Sums are in double precision, in order; probabilities are rounded to
    float32, which is what travels: an answer is the same in one process and over the wire.
    """
    if kernels is None or not _plain(logits):
        return top_classes_reference(logits, count)
    found: tuple[list[int], list[float]] = kernels.top_classes(logits, count)
    return found


def top_classes_reference(logits: FloatArray, count: int) -> tuple[list[int], list[float]]:
    """The reference of the kernel, bit for bit."""
    values: list[float] = logits.tolist()
    best = sorted(range(len(values)), key=lambda index: (-values[index], index))[:count]
    peak = values[best[0]]
    total = 0.0
    for value in values:  # not `sum`, which rounds differently from Python 3.12 on
        total += math.exp(value - peak)
    return best, [float(np.float32(math.exp(values[index] - peak) / total)) for index in best]


def _plain(values: FloatArray) -> bool:
    return values.dtype == np.float32 and values.flags.c_contiguous and values.flags.aligned
