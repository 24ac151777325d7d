"""What every engine that runs a graph offers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class TensorSpec:
    """Name, numpy dtype and shape of an input or output; None stands for a free dimension."""

    name: str
    dtype: str
    shape: tuple[int | None, ...]


class Graph(Protocol):
    """A loaded graph. `run` may be called from several threads at once."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        """Compute `outputs` (all of them, in order, when None) from named inputs."""
        ...
