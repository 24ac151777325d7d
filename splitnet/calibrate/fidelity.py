"""How far an answer is from the unsplit network's: one number a photo for every kind of task, smaller is closer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def kl_divergence(reference: Array, answer: Array) -> Array:
    """KL divergence in nats of softmax(answer) from softmax(reference): logits (N, K) -> (N,)."""
    p, q = log_softmax(reference), log_softmax(answer)
    divergence: Array = (np.exp(p) * (p - q)).sum(1)
    return np.maximum(divergence, 0)


def cosine_distance(reference: Array, answer: Array) -> Array:
    """1 - cosine of the angle between two embeddings: (N, D) -> (N,), from 0 to 2."""
    a, b = (values.reshape(len(values), -1).astype(np.float64) for values in (reference, answer))
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    distance: Array = 1 - (a * b).sum(1) / np.maximum(lengths, 1e-30)
    return np.maximum(distance, 0)


def relative_error(reference: Array, answer: Array) -> Array:
    """Squared error over the reference's squared length: (N, ...) -> (N,)."""
    a, b = (values.reshape(len(values), -1).astype(np.float64) for values in (reference, answer))
    error: Array = ((a - b) ** 2).sum(1) / np.maximum((a**2).sum(1), 1e-30)
    return error


def log_softmax(logits: Array) -> Array:
    """Logarithm of the softmax over the last axis, float64."""
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    result: Array = shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))
    return result


DISTORTIONS: dict[str, tuple[str, Callable[[Array, Array], Array]]] = {
    "classification": ("kl", kl_divergence),
    "embedding": ("cosine_distance", cosine_distance),
    "tensor": ("relative_error", relative_error),
}
"""Kind of a task -> name and function of its distortion."""


def measure_of(kind: str) -> tuple[str, Callable[[Array, Array], Array]]:
    """Name and function for a kind of task; for kinds without one of their own that of a tensor."""
    return DISTORTIONS.get(kind, DISTORTIONS["tensor"])
