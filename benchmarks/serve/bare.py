"""The bare network, in a process of its own: the cloud graph and the heads in ONNX Runtime, without any service.

Reads lines "BATCH SECONDS", answers each with photos a second.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from splitnet.bundle import Bundle
from splitnet.cloud.model import CloudModel


def runner(bundle: Path, cut_name: str) -> Callable[[int], None]:
    """Runs one batch of random inputs of a size: coefficients where the cut has a transform, else features."""
    model = CloudModel(Bundle.load(bundle), threads=1)
    cut = model.cut(cut_name)
    calibrated = model.calibrated.get(cut.name)
    shape = cut.shape if calibrated is None else calibrated.profile.symbols_shape
    heads = model.wanted(())
    generator = np.random.default_rng(0)
    inputs: dict[int, np.ndarray[tuple[int, ...], np.dtype[np.float32]]] = {}

    def run(size: int) -> None:
        if size not in inputs:
            inputs[size] = generator.standard_normal((size, *shape), dtype=np.float32)
        shared = model.shared(cut, inputs[size], coefficients=calibrated is not None)
        for head in heads:
            model.answer(head, shared)

    return run


def serve(run: Callable[[int], None]) -> None:
    """Answer lines until the input ends."""
    for line in sys.stdin:
        size, seconds = int(line.split()[0]), float(line.split()[1])
        run(size)
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            run(size)
            count += size
        print(count / (time.perf_counter() - started), flush=True)


if __name__ == "__main__":
    serve(runner(Path(sys.argv[1]), sys.argv[2]))
