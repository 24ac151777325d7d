"""Classes, vectors, and outputs as they are."""

from __future__ import annotations

import math

import numpy as np

from splitnet.tasks.contract import Kind, Setting
from splitnet.tasks.results import Classification, Embedding, FloatArray, Label, Tensor

DEFAULT_TOP_K = 5


class ClassificationKind(Kind):
    """The most probable classes of softmax(logits); logits (K,), classes without a label are named by index."""

    def result(self, output: FloatArray, setting: Setting, top_k: int) -> Classification:
        logits, labels = output.reshape(-1), setting.labels
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


class EmbeddingKind(Kind):
    """The vector, flat; its head has made it of unit length."""

    def result(self, output: FloatArray, setting: Setting, top_k: int) -> Embedding:
        return Embedding(output.reshape(-1))


class TensorKind(Kind):
    """The tensor as it is."""

    def result(self, output: FloatArray, setting: Setting, top_k: int) -> Tensor:
        return Tensor(output)


def _largest(values: FloatArray, count: int) -> list[int]:
    """Indices of the `count` largest values, largest first; the lower index wins a tie, on every machine."""
    threshold = np.partition(values, values.size - count)[values.size - count]
    candidates = np.flatnonzero(values >= threshold).tolist()
    return sorted(candidates, key=lambda index: (-values[index], index))[:count]
