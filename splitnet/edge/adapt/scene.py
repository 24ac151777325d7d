"""Whether a scene changed, by the features that are there anyway."""

from __future__ import annotations

import numpy as np

from splitnet.edge.halves import Values
from splitnet.runtime import Array


class Scene:
    """Compares features, or symbols, with those of the last frame that was answered.

    Frames that are repeated do not move the reference: what changes slowly is noticed once it adds up.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._reference: tuple[str, tuple[Array, ...]] | None = None

    def unchanged(self, way: str, values: Values) -> bool:
        """Whether the energy of the difference is at most the threshold's share of the reference's energy.

        `way` is cut and codec: features of different ones cannot be compared.
        """
        if self._reference is None or self._reference[0] != way or not values:
            return False
        reference = self._reference[1]
        if [one.shape for one in reference] != [one.shape for one in values]:
            return False
        difference = sum(_energy(one.astype(np.float32) - other) for one, other in zip(values, reference, strict=True))
        return difference <= self._threshold * sum(_energy(one) for one in reference)

    def forget(self) -> None:
        """The last answer was to something else: the next frame counts as changed."""
        self._reference = None

    def answered(self, way: str, values: Values) -> None:
        """What the next frames are compared with."""
        self._reference = (way, tuple(one.astype(np.float32) for one in values))


def _energy(values: Array) -> float:
    """Sum of squares."""
    flat = values.reshape(-1)
    return float(flat @ flat)
