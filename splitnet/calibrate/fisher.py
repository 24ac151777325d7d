"""The sensitivity of a network's outputs to its features, from gradients: needs torch.

For logits with softmax p the Fisher information is J' (diag p - p p') J, J the Jacobian with respect to the features.
Instead of drawing labels from p, each draw is a Gaussian vector with that middle matrix as its covariance, sqrt(p) z -
p (sqrt(p) . z), pulled back by one backward pass: the same mean, and fewer draws that say nothing because the network
is sure. An embedding's 1 - cosine is half the squared distance of unit vectors: J' J.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from splitnet.bundle.manifest import Task
from splitnet.errors import ModelError
from splitnet.models.zoo import ZOO

if TYPE_CHECKING:
    from numpy.typing import NDArray

NOISE = 0.3
"""Standard deviation of the noise, relative to the features', at which gradients are taken: the codec's own errors move
the features to where the network answers less surely. At block7 of EfficientNet-Lite0 none at all, 0.3 and 0.6 give
profiles whose bytes at equal KL divergence differ by less than the measurement's own uncertainty."""


class Resumable(Protocol):
    """A network that goes on from one of its named tensors."""

    def resume(self, name: str, tensor: Tensor) -> dict[str, Tensor]:
        """The named tensor and all that follow."""


class Gradients:
    """Draws of the gradient of every task's distortion with respect to the features at one cut.

    Parameters
    ----------
    network
        Name of a network of the zoo: only its networks have gradients.
    tasks
        With their weights; a task's kind decides on its distortion.
    deviation
        Standard deviation of the features.
    """

    def __init__(
        self, network: str, cut: str, tasks: Sequence[tuple[Task, float]], deviation: float, seed: int
    ) -> None:
        self._module = cast("Resumable", ZOO[network].build())
        self._cut, self._tasks, self._deviation, self._seed = cut, tasks, deviation, seed
        for parameter in cast("torch.nn.Module", self._module).parameters():
            parameter.requires_grad_(False)

    def draw(self, maps: NDArray[np.float32], batch: int, draws: int) -> Iterator[NDArray[np.float32]]:
        """`draws` gradients for each of the maps (N, ...), at two noises; the same for the same `batch` number.

        Raises
        ------
        ModelError
            if a gradient is not finite.
        """
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + batch)
        base = torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32))
        for _ in range(2):
            noise = NOISE * self._deviation * torch.randn(base.shape, generator=generator)
            features = (base + noise).requires_grad_()
            outputs = self._module.resume(self._cut, features)
            for _ in range(draws // 2):
                # Independent signs: the mean outer product of the sum is the weighted sum of the tasks' matrices.
                total = sum(
                    (weight**0.5 * (outputs[task.output] * _direction(task, outputs[task.output], generator)).sum())
                    for task, weight in self._tasks
                )
                (gradient,) = torch.autograd.grad(cast("Tensor", total), features, retain_graph=True)
                if not bool(torch.isfinite(gradient).all()):
                    raise ModelError(f"the network's gradient at {self._cut} is not finite for one of the photos")
                yield gradient.numpy()


def _direction(task: Task, output: Tensor, generator: torch.Generator) -> Tensor:
    """A random vector, shaped like the output, whose covariance is the middle matrix of the task's distortion."""
    values = output.detach()
    z = torch.randn(values.shape, generator=generator)
    if task.kind == "classification":
        root = values.softmax(1).sqrt()
        return root * z - root.square() * (root * z).sum(1, keepdim=True)
    if task.kind == "embedding":
        return z
    length = values.flatten(1).norm(dim=1).clamp_min(1e-12)
    relative: Tensor = z * (2.0**0.5 / length).reshape(-1, *[1] * (values.ndim - 1))
    return relative
