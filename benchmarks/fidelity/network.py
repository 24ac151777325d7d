"""The unsplit network's answers, and how far other answers are from them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

from benchmarks.fidelity.curves import divergence, log_softmax
from benchmarks.fidelity.photos import Crops
from splitnet.bundle import Bundle
from splitnet.cloud.model import CloudModel
from splitnet.edge.encoder import EdgeEncoder
from splitnet.errors import UsageError
from splitnet.models import preprocess
from splitnet.runtime import Array
from splitnet.runtime.bundled import load_graph

CLASSES, VECTOR = "classification", "embedding"


@dataclass(frozen=True, slots=True)
class Answer:
    """Log probabilities (classes,), float64, and the embedding (values,)."""

    log_p: Array
    embedding: Array


@dataclass(frozen=True, slots=True)
class Judgement:
    """One answer beside the unsplit network's: KL divergence in nats, same top-1 or not, cosine, top-1 itself."""

    kl: float
    agree: bool
    cosine: float
    top1: int


def judge(reference: Answer, answer: Answer) -> Judgement:
    """Compare."""
    top1 = int(answer.log_p.argmax())
    one, other = reference.embedding.astype(np.float64), answer.embedding.astype(np.float64)
    cosine = float(one @ other / np.sqrt((one @ one) * (other @ other)))
    return Judgement(divergence(reference.log_p, answer.log_p), top1 == int(reference.log_p.argmax()), cosine, top1)


@dataclass(frozen=True, slots=True)
class Subject:
    """What one family of methods works on: arrays, one a photo, and the way from a decoded array to an answer.

    Attributes
    ----------
    name
        "pixels" for uint8 (H, W, 3), or a cut for float32 (C, H, W).
    edge_ms
        Milliseconds of the device for one photo before its codec: 0 for pixels, the edge graph's for features.
    digest
        Of arrays, rows and references: measurements are kept under it.
    """

    name: str
    arrays: tuple[Array, ...]
    rows: tuple[int, ...]
    references: tuple[Answer, ...]
    answer: Callable[[Array], Answer]
    edge_ms: float
    digest: str


def _digest(arrays: tuple[Array, ...], rows: tuple[int, ...], references: tuple[Answer, ...]) -> str:
    found = hashlib.sha256(repr(rows).encode())
    for array, reference in zip(arrays, references, strict=True):
        found.update(array.tobytes() + reference.log_p.tobytes())
    return found.hexdigest()[:16]


class Network:
    """A bundle's unsplit network and its cloud halves, on one thread. Raises BundleError, ModelError, UsageError."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._whole = load_graph(bundle, bundle.manifest.whole)
        self._cloud = CloudModel(bundle)
        kinds = {task.kind: task for task in bundle.manifest.tasks}
        if not {CLASSES, VECTOR} <= set(kinds):
            raise UsageError(f"{bundle.path}: fidelity needs a classification and an embedding task; has {list(kinds)}")
        self._tasks = (kinds[CLASSES], kinds[VECTOR])

    def unsplit(self, pixels: Array) -> Answer:
        """From uint8 (H, W, 3)."""
        feeds = {self._whole.inputs[0].name: preprocess.normalise(pixels, self.bundle.manifest.image_input)}
        logits, embedding = self._whole.run(feeds, [task.output for task in self._tasks])
        return Answer(log_softmax(logits[0]), embedding[0])

    def pixels(self, crops: Crops) -> Subject:
        """For methods that send the photo."""
        answers = tuple(self.unsplit(one) for one in crops.pixels)
        return Subject(
            "pixels", crops.pixels, crops.rows, answers, self.unsplit, 0.0, _digest(crops.pixels, crops.rows, answers)
        )

    def features(self, cut: str, crops: Crops, references: tuple[Answer, ...]) -> Subject:
        """For methods that send the features of `cut`."""
        encoder = EdgeEncoder(self.bundle, cut)
        spec = self.bundle.manifest.image_input
        arrays, times = [], []
        for one in crops.pixels:
            tensor = preprocess.normalise(one, spec)
            start = time.process_time()
            arrays.append(encoder.features(tensor)[0])
            times.append(time.process_time() - start)
        heads = self._cloud.wanted([task.name for task in self._tasks])

        def finish(features: Array) -> Answer:
            shared = self._cloud.shared(encoder.cut, features[np.newaxis])
            logits, embedding = (self._cloud.answer(head, shared)[0] for head in heads)
            return Answer(log_softmax(logits), embedding)

        digest = _digest(tuple(arrays), crops.rows, references)
        return Subject(cut, tuple(arrays), crops.rows, references, finish, 1000 * median(times), digest)
