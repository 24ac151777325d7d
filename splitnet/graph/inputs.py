"""The one input of a network, image or not: which of both it is, and the shape of one that is no image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import onnx

from splitnet.errors import ModelError, UsageError
from splitnet.graph.sides import joined
from splitnet.graph.tensors import inputs

MOST_VALUES = 1 << 28
"""Of one input: 1 GiB. Verification, and every device, holds it in memory."""

Dims = Sequence[onnx.TensorShapeProto.Dimension]


def single_input(model: onnx.ModelProto, label: str) -> onnx.ValueInfoProto:
    """The only input of `model`, with free dimensions that are free; raises ModelError where there is not just one."""
    values = inputs(model.graph)
    if len(values) != 1:
        found = ", ".join(value.name for value in values[:8]) or "none"
        raise ModelError(f"{label} needs exactly one input; it has {len(values)}: {found}")
    for dim in dims_of(values[0]):
        # Some exporters write -1 for a free dimension.
        if dim.HasField("dim_value") and dim.dim_value <= 0:
            dim.ClearField("dim_value")
    return values[0]


def dims_of(value: onnx.ValueInfoProto) -> Dims:
    """The dimensions of a tensor, batch first."""
    return value.type.tensor_type.shape.dim


def fix_shape(value: onnx.ValueInfoProto, shape: Sequence[int]) -> None:
    """Give every dimension but the batch its length, in place."""
    for dim, side in zip(dims_of(value)[1:], shape, strict=True):
        dim.dim_value = side


def shown(value: onnx.ValueInfoProto) -> str:
    """A tensor's name and dimensions for messages, free ones by their name."""
    return f"{value.name!r} {[dim.dim_value or dim.dim_param or '?' for dim in dims_of(value)[:8]]}"


def looks_like_image(value: onnx.ValueInfoProto) -> bool:
    """Whether a tensor is taken for an image where nobody says what it is: 4 dimensions, 3 channels or a free number
    of them in second place, or 3 in last place; and whatever is not float32, which no network here takes.
    """
    dims = dims_of(value)
    if value.type.tensor_type.elem_type != onnx.TensorProto.FLOAT:
        return True
    return len(dims) == 4 and (not dims[1].HasField("dim_value") or 3 in (dims[1].dim_value, dims[3].dim_value))


def fix_batch(value: onnx.ValueInfoProto, label: str) -> None:
    """Raise ModelError unless the first dimension is free or 1."""
    batch = dims_of(value)[0]
    if batch.HasField("dim_value") and batch.dim_value != 1:
        raise ModelError(
            f"{label}: the input {shown(value)} fixes the batch to {batch.dim_value}; export it with a free one"
        )


def fix_tensor_input(model: onnx.ModelProto, label: str, shape: Sequence[int] | None = None) -> onnx.ModelProto:
    """Check that the input of `model` is float32 with a batch in front and fix its shape, in place.

    Parameters
    ----------
    label
        What messages call the network.
    shape
        Without the batch; needed where the graph leaves a dimension free.

    Raises
    ------
    ModelError
        if the network has not exactly one input, or one that is not float32, has no batch in front or is too large.
    UsageError
        if `shape` is needed and missing, or contradicts the graph.
    """
    value = single_input(model, label)
    kind = value.type.tensor_type
    if kind.elem_type != onnx.TensorProto.FLOAT:
        name = onnx.TensorProto.DataType.Name(kind.elem_type) if value.type.HasField("tensor_type") else "no tensor"
        raise ModelError(f"{label}: the input {shown(value)} is {name}; a network's input must be float32")
    if not kind.HasField("shape"):
        if shape is None:
            raise UsageError(f"{label} leaves the input {value.name!r} free: say its --shape, without the batch")
        kind.shape.dim.extend(onnx.TensorShapeProto.Dimension() for _ in range(len(shape) + 1))
    dims = dims_of(value)
    if len(dims) < 2:
        raise ModelError(f"{label}: the input {shown(value)} has no batch in front; export it as (batch, values)")
    fix_batch(value, label)
    _fix_sides(dims[1:], value, label, shape)
    if math.prod(dim.dim_value for dim in dims[1:]) > MOST_VALUES:
        error = ModelError if shape is None else UsageError
        raise error(f"{label}: an input {shown(value)} has more than {MOST_VALUES} values, the most there may be")
    return model


def _fix_sides(dims: Dims, value: onnx.ValueInfoProto, label: str, shape: Sequence[int] | None) -> None:
    before = shown(value)
    if shape is None:
        if not all(dim.HasField("dim_value") for dim in dims):
            example = joined([dim.dim_value or 100 for dim in dims])
            raise UsageError(
                f"{label} leaves the input {before} free: say its shape without the batch, as in --shape {example}"
            )
        return
    fits = len(shape) == len(dims) and all(
        not dim.HasField("dim_value") or dim.dim_value == side for dim, side in zip(dims, shape, strict=True)
    )
    if not fits:
        raise UsageError(f"--shape says {joined(shape)}, but {label} takes {before}, batch included")
    for dim, side in zip(dims, shape, strict=True):
        dim.dim_value = side
