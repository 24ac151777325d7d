"""Which axes of a network's tensors follow the size of the image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from splitnet.errors import ModelError
from splitnet.graph.inputs import dims_of
from splitnet.graph.shapes import Tensor, shapes
from splitnet.graph.sides import MARGIN, doubled, no_other_size
from splitnet.graph.tensors import inputs

Free = Mapping[str, tuple[int, ...]]
"""Tensor -> its axes, batch not counted, whose length follows the image's size."""


def free_axes(
    model: onnx.ModelProto,
    multiple: int,
    wanted: Sequence[str],
    types: Mapping[str, Tensor],
    outputs: Sequence[str],
) -> dict[str, tuple[int, ...]]:
    """Free axes of the tensors in `wanted`, found by doubling the image's height, then its width.

    `types` are the tensors at the size that `model` says. A tensor is left out where its rank or its batch dimension
    changes with the size, or where it grows faster than the image, beyond `MARGIN`: nothing can be cut there.

    Raises
    ------
    ModelError
        if the network does not run at another size, or an output's rank or batch depends on it.
    """
    channels, height, width = (dim.dim_value for dim in dims_of(inputs(model.graph)[0])[1:])
    free: dict[str, set[int]] = {name: set() for name in wanted}
    for size in ((doubled(height, multiple), width), (height, doubled(width, multiple))):
        try:
            found = shapes(model, 1, wanted, (channels, *size))
        except ModelError as error:
            raise ModelError(no_other_size(size, str(error))) from error
        for name in wanted:
            before, after = types[name], found[name]
            if len(after.shape) != len(before.shape) or after.shape[:1] != before.shape[:1]:
                if name in outputs:
                    what = f"the output {name!r} is {after.shape}, batch included, instead of {before.shape}"
                    raise ModelError(no_other_size(size, what))
                free.pop(name, None)
            elif name in free:
                pairs = list(zip(before.shape[1:], after.shape[1:], strict=True))
                free[name].update(axis for axis, (one, other) in enumerate(pairs) if one != other)
                # Longer than its share of an image: a service could not tell what is too large.
                if name not in outputs and any(other - 2 * one > 2 * MARGIN for one, other in pairs):
                    free.pop(name)
    return {name: tuple(sorted(axes)) for name, axes in free.items()}
