"""A byte coder that only flips bits."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

import featcodec


@dataclass(frozen=True)
class Invert(featcodec.ByteCoder):
    """Every bit flipped."""

    name: ClassVar[str] = "invert"

    def encode(self, data):
        return (~np.frombuffer(data, np.uint8)).tobytes()

    def decode(self, data, size):
        return self.encode(data)
