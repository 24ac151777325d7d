"""The bare network, in a process of its own: the cloud graph and the heads in ONNX Runtime, without any service.

Prints JSON: photos a second by batch size, the median of rounds in which the batch sizes take turns.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np

from splitnet.bundle import Bundle
from splitnet.cloud.model import CloudModel

ROUNDS = 5


def rates(bundle: Path, cut_name: str, batches: list[int], seconds: float) -> dict[int, float]:
    """`seconds` are for each batch size, over all rounds; inputs are coefficients where the cut has a transform."""
    model = CloudModel(Bundle.load(bundle), threads=1)
    cut = model.cut(cut_name)
    calibrated = model.calibrated.get(cut.name)
    shape = cut.shape if calibrated is None else calibrated.profile.symbols_shape
    heads = model.wanted(())
    generator = np.random.default_rng(0)
    inputs = {size: generator.standard_normal((size, *shape), dtype=np.float32) for size in batches}

    def run(size: int) -> None:
        shared = model.shared(cut, inputs[size], coefficients=calibrated is not None)
        for head in heads:
            model.answer(head, shared)

    for size in batches:
        run(size)
    found: dict[int, list[float]] = {size: [] for size in batches}
    for _ in range(ROUNDS):
        for size in batches:
            count, started = 0, time.perf_counter()
            while time.perf_counter() - started < seconds / ROUNDS:
                run(size)
                count += size
            found[size].append(count / (time.perf_counter() - started))
    return {size: median(values) for size, values in found.items()}


if __name__ == "__main__":
    print(json.dumps(rates(Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]), float(sys.argv[4]))))
