"""The one input of a network that looks at images: (N, 3, height, width), float32, all fixed but the batch."""

from __future__ import annotations

from typing import Literal

import onnx

from splitnet.errors import ModelError, UsageError
from splitnet.graph.tensors import inputs, names

Layout = Literal["nchw", "nhwc"]
"""Order of an image's dimensions: channels in front (torch), or last (TensorFlow)."""

_SHAPES = {"nchw": "(N, 3, height, width)", "nhwc": "(N, height, width, 3)"}
_TO_NHWC = (0, 2, 3, 1)


def fix_image_input(
    model: onnx.ModelProto, label: str, size: tuple[int, int] | None = None, layout: Layout = "nchw"
) -> onnx.ModelProto:
    """Check the input of `model` and fix its size, in place; `label` is what messages call the network.

    A network of layout ``nhwc`` gets a Transpose in front, so that its input is (N, 3, height, width) too.

    Raises
    ------
    ModelError
        if the network does not have exactly one input, an image of this layout.
    UsageError
        if `size` (height, width) is needed and missing, or contradicts the graph.
    """
    values = inputs(model.graph)
    if len(values) != 1:
        found = ", ".join(value.name for value in values[:8]) or "none"
        raise ModelError(f"{label} needs exactly one input, an image; it has {len(values)}: {found}")
    value = values[0]
    kind = value.type.tensor_type
    dims = kind.shape.dim
    for dim in dims:
        # Some exporters write -1 for a free dimension.
        if dim.HasField("dim_value") and dim.dim_value <= 0:
            dim.ClearField("dim_value")
    shown = f"{value.name!r} {[dim.dim_value or dim.dim_param or '?' for dim in dims[:8]]}"
    if kind.elem_type != onnx.TensorProto.FLOAT or len(dims) != 4:
        raise ModelError(f"{label}: the input {shown} is not a float32 image of shape {_SHAPES[layout]}")
    channels, *sides = (dims[1], dims[2], dims[3]) if layout == "nchw" else (dims[3], dims[1], dims[2])
    if channels.HasField("dim_value") and channels.dim_value != 3:
        place, other = ("second", "nhwc") if layout == "nchw" else ("last", "nchw")
        hint = f"; say --layout {other}" if dims[3 if layout == "nchw" else 1].dim_value == 3 else ""
        raise ModelError(f"{label}: the input {shown} does not have 3 channels in {place} place{hint}")
    if dims[0].HasField("dim_value") and dims[0].dim_value != 1:
        raise ModelError(
            f"{label}: the input {shown} fixes the batch to {dims[0].dim_value}; export it with a free one"
        )
    channels.dim_value = 3
    for dim, side, name in zip(sides, size or (0, 0), ("height", "width"), strict=True):
        if not dim.HasField("dim_value"):
            if not side:
                raise UsageError(f"{label} leaves the image's {name} free: say it with --size HEIGHTxWIDTH")
            dim.dim_value = side
        elif side and side != dim.dim_value:
            raise UsageError(f"--size says {name} {side}, but {label} fixes it to {dim.dim_value}")
    if layout == "nhwc":
        _channels_first(model.graph, value)
    return model


def _channels_first(graph: onnx.GraphProto, value: onnx.ValueInfoProto) -> None:
    taken = names(graph)
    name = "image"
    while name in taken:
        name += "_"
    # The old name stays with the tensor that the network reads, so nothing inside changes.
    turn = onnx.helper.make_node("Transpose", [name], [value.name], perm=_TO_NHWC)
    graph.node.insert(0, turn)
    batch, height, width, channels = (onnx.TensorShapeProto.Dimension() for _ in range(4))
    for copy, dim in zip((batch, height, width, channels), value.type.tensor_type.shape.dim, strict=True):
        copy.CopyFrom(dim)
    value.name = name
    del value.type.tensor_type.shape.dim[:]
    value.type.tensor_type.shape.dim.extend((batch, channels, height, width))
