"""Split against whole: a bundle whose halves do not give the whole network's answers is never written."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from splitnet.bundle.manifest import Cut, ImageInput, Input, Task
from splitnet.bundle.sizes import at_size, takes
from splitnet.errors import ModelError, UsageError, VerificationError
from splitnet.graph.sides import another, no_other_size
from splitnet.runtime.graph import Array
from splitnet.runtime.onnxruntime_engine import OnnxGraph

TOLERANCE = 1e-4
"""Largest difference allowed, relative to the largest value of the whole network's output for any input verified."""


class Verifier:
    """Runs the whole network once and every split after it on the same inputs.

    Parameters
    ----------
    path
        The directory with the bundle's files.
    arrays
        Inputs of the network, float32 with the batch in front, beside random ones in batches of one and, if the
        batch is free, three; of a network that takes any size, also of another size.
    """

    def __init__(
        self,
        path: Path,
        whole: str,
        spec: Input,
        tasks: Sequence[Task],
        arrays: Sequence[Array] = (),
    ) -> None:
        self._path, self._tasks, self._tensor = path, tasks, spec.tensor
        graph = OnnxGraph(path / whole)
        batches = (1, 3) if graph.inputs[0].shape[0] is None else (1,)
        self._inputs = [random_input(spec, batch) for batch in batches]
        for array in arrays:
            if array.dtype != np.float32 or array.shape[1:] != spec.shape:
                raise UsageError(f"cannot verify with {array.dtype} {array.shape}: the input is float32 {spec.shape}")
            self._inputs.append(array)
        outputs = [task.output for task in tasks]
        self._expected = [graph.run({self._tensor: array}, outputs) for array in self._inputs]
        if isinstance(spec, ImageInput) and spec.multiple:
            size = another((spec.height, spec.width), spec.multiple)
            others = [random_input(at_size(spec, size), batch) for batch in batches]
            try:
                self._expected += [graph.run({self._tensor: array}, outputs) for array in others]
            except ModelError as error:
                raise ModelError(no_other_size(size, str(error))) from error
            self._inputs += others
        # Of all inputs: where an output is next to nothing, as a map of text is where there is none, rounding in the
        # engine's optimised graphs is a large share of it, in the whole network as much as in its halves.
        self._scales = [
            max(_largest_finite(output) for output in of_task) for of_task in zip(*self._expected, strict=True)
        ]
        self._heads = {task.name: OnnxGraph(path / task.head) for task in tasks if task.head is not None}

    def check(self, cut: Cut) -> float:
        """Largest relative difference of any output at `cut`; 0.0 where all are identical to the bit.

        Raises
        ------
        VerificationError
            if it is above `TOLERANCE`, or shapes differ, or a half cannot run: names the cut and the tensor.
        """
        assert cut.edge is not None
        assert cut.cloud is not None
        worst = 0.0
        try:
            edge, cloud = OnnxGraph(self._path / cut.edge), OnnxGraph(self._path / cut.cloud)
            for array, expected in zip(self._inputs, self._expected, strict=True):
                features = edge.run({self._tensor: array}, [one.tensor for one in cut.crossing])
                for one, tensor in zip(cut.crossing, features, strict=True):
                    if not takes(one, tensor.shape[1:]) or tensor.dtype != one.dtype:
                        raise VerificationError(
                            f"cut {cut.name}: the tensor {one.tensor!r} is {tensor.dtype} {tensor.shape[1:]},"
                            f" expected {one.dtype} {one.shape}"
                        )
                feeds = {one.tensor: tensor for one, tensor in zip(cut.crossing, features, strict=True)}
                ends = dict(zip((spec.name for spec in cloud.outputs), cloud.run(feeds), strict=True))
                for task, whole, scale in zip(self._tasks, expected, self._scales, strict=True):
                    head = self._heads.get(task.name)
                    split = ends[task.output] if head is None else head.run({task.input: ends[task.input]})[0]
                    worst = max(worst, compare(cut, task, split, whole, scale))
        except ModelError as error:
            raise VerificationError(f"cut {cut.name}: its graphs do not run: {error}") from error
        return worst


def random_input(spec: Input, batch: int) -> Array:
    """Seeded random inputs, (batch, *shape) float32: photos, normalised, or standard normal values."""
    generator = np.random.default_rng(batch)
    if isinstance(spec, ImageInput):
        return _random_photos(spec, batch, generator)
    return generator.standard_normal((batch, *spec.shape), dtype=np.float32)


def _random_photos(image: ImageInput, batch: int, generator: np.random.Generator) -> Array:
    # Coarse squares over fine noise: flat areas and edges as in a photo, so that deep layers see more than
    # a grey mean.
    coarse = generator.integers(0, 200, (batch, 3, -(-image.height // 32), -(-image.width // 32)))
    pixels = np.kron(coarse, np.ones((32, 32)))[:, :, : image.height, : image.width]
    pixels = pixels + generator.integers(0, 56, pixels.shape)
    mean, std = (np.array(values).reshape(3, 1, 1) for values in (image.mean, image.std))
    return np.asarray((pixels - mean) / std, dtype=np.float32)


def _largest(array: Array) -> float:
    return float(np.abs(array.astype(np.float64)).max()) if array.size else 0.0


def _largest_finite(array: Array) -> float:
    # Beside infinity, any difference would be nothing.
    return _largest(array[np.isfinite(array)])


def compare(cut: Cut, task: Task, split: Array, whole: Array, scale: float) -> float:
    """Largest difference as a share of `scale`, the task's largest value. Raises VerificationError, as `check` does."""
    place = f"cut {cut.name}: the tensor {task.output!r}"
    if split.shape != whole.shape or split.dtype != whole.dtype:
        raise VerificationError(
            f"{place} is {split.dtype} {split.shape} split, {whole.dtype} {whole.shape} in the whole network"
        )
    if np.array_equal(split, whole, equal_nan=whole.dtype.kind == "f"):
        return 0.0
    difference = _largest(split.astype(np.float64) - whole.astype(np.float64))
    relative = difference / scale if scale else float("inf")
    # Written so that NaN fails.
    if not relative <= TOLERANCE:
        raise VerificationError(f"{place} differs from the whole network by {relative:.2g} of its largest value")
    return relative
