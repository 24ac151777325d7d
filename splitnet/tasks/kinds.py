"""Post-processors: one function for each kind of task."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from splitnet.errors import ModelError
from splitnet.tasks.results import Classification, Embedding, FloatArray, Label, Result, Tensor

DEFAULT_TOP_K = 5


def classify(logits: FloatArray, labels: Sequence[str], top_k: int) -> Classification:
    """The `top_k` classes of softmax(logits); logits have shape (K,), classes without a label are named by index."""
    logits = logits.reshape(-1)
    best = _largest(logits, min(top_k or DEFAULT_TOP_K, logits.size))
    peak = float(logits[best[0]])
    scale = float(np.exp(logits - peak, dtype=np.float64).sum())
    # What travels is float32: rounding here makes an answer the same in one process and over the wire.
    probabilities = [float(np.float32(math.exp(float(logits[index]) - peak) / scale)) for index in best]
    return Classification(
        tuple(
            Label(index, labels[index] if index < len(labels) else str(index), probability)
            for index, probability in zip(best, probabilities, strict=True)
        )
    )


def _largest(values: FloatArray, count: int) -> list[int]:
    """Indices of the `count` largest values, largest first; the lower index wins a tie, on every machine."""
    threshold = np.partition(values, values.size - count)[values.size - count]
    candidates = np.flatnonzero(values >= threshold).tolist()
    return sorted(candidates, key=lambda index: (-values[index], index))[:count]


def embed(vector: FloatArray, labels: Sequence[str], top_k: int) -> Embedding:
    """The vector, flat; its head has made it of unit length."""
    return Embedding(vector.reshape(-1))


def keep(values: FloatArray, labels: Sequence[str], top_k: int) -> Tensor:
    """The tensor as it is."""
    return Tensor(values)


KINDS: dict[str, Callable[[FloatArray, Sequence[str], int], Result]] = {
    "classification": classify,
    "embedding": embed,
    "tensor": keep,
}
"""Kind of a task -> its post-processor: (output without batch dimension, labels, top_k) -> result."""


def post_process(kind: str, output: FloatArray, labels: Sequence[str] = (), top_k: int = 0) -> Result:
    """Turn a head's output for one input into a result.

    Raises
    ------
    ModelError
        if no post-processor of this kind exists.
    """
    try:
        function = KINDS[kind]
    except KeyError:
        raise ModelError(f"unknown kind of task {kind!r}; known: {', '.join(sorted(KINDS))}") from None
    return function(output, labels, top_k)
