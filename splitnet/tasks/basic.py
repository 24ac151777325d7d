"""Classes, vectors, and outputs as they are."""

from __future__ import annotations

from splitnet.tasks.contract import Kind, Setting
from splitnet.tasks.results import Classification, Embedding, FloatArray, Label, Tensor
from splitnet.tasks.softmax import top_classes

DEFAULT_TOP_K = 5


class ClassificationKind(Kind):
    """The most probable classes of softmax(logits); logits (K,), classes without a label are named by index."""

    def result(self, output: FloatArray, setting: Setting, top_k: int) -> Classification:
        logits, labels = output.reshape(-1), setting.labels
        best, probabilities = top_classes(logits, min(top_k or DEFAULT_TOP_K, logits.size))
        return Classification(
            tuple(
                [
                    Label(index, labels[index] if index < len(labels) else str(index), probability)
                    for index, probability in zip(best, probabilities, strict=True)
                ]
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
