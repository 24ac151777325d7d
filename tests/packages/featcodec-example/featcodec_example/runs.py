"""An array coder whose size depends on the data: runs of equal one-byte symbols."""

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

import featcodec


@dataclass(frozen=True)
class Runs(featcodec.ArrayCoder):
    """Pairs of (run length 1 to 255, symbol)."""

    name: ClassVar[str] = "runs"
    accepts: ClassVar[frozenset[str]] = frozenset({"uint8"})

    def coded_size(self, count, dtype):
        return None

    def encode(self, symbols, profile):
        out = bytearray()
        for symbol in symbols.reshape(-1).tolist():
            if out and out[-1] == symbol and out[-2] < 255:
                out[-2] += 1
            else:
                out += bytes((1, symbol))
        return bytes(out)

    def decode(self, data, shape, dtype, profile):
        pairs = np.frombuffer(data, np.uint8)
        if pairs.size % 2 or int(pairs[::2].sum()) != prod(shape):
            raise featcodec.PayloadError("runs: the runs do not add up to the tensor's size")
        return np.repeat(pairs[1::2], pairs[::2]).reshape(shape)
