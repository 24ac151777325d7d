"""The one input of a network that looks at images: (N, 3, height, width), float32, all fixed but the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import onnx

from splitnet.errors import ModelError, UsageError
from splitnet.graph.inputs import fix_batch, shown, single_input
from splitnet.graph.sides import joined
from splitnet.graph.tensors import names

Layout = Literal["nchw", "nhwc"]
"""Order of an image's dimensions: channels in front (torch), or last (TensorFlow)."""

_SHAPES = {"nchw": "(N, 3, height, width)", "nhwc": "(N, height, width, 3)"}
_TO_NHWC = (0, 2, 3, 1)


def fix_image_input(
    model: onnx.ModelProto,
    label: str,
    size: tuple[int, int] | None = None,
    layout: Layout = "nchw",
    *,
    any_size: bool = False,
) -> onnx.ModelProto:
    """Check the input of `model` and fix its size, in place; `label` is what messages call the network.

    With `any_size` the network must leave both sides free; `size` is then the nominal one, with which it is analysed.

    A network of layout ``nhwc`` gets a Transpose in front, so that its input is (N, 3, height, width) too.

    Raises
    ------
    ModelError
        if the network does not have exactly one input, an image of this layout.
    UsageError
        if `size` (height, width) is needed and missing, or contradicts the graph, or the graph fixes it though
        `any_size` is wanted.
    """
    value = single_input(model, label)
    kind = value.type.tensor_type
    dims = kind.shape.dim
    if kind.elem_type != onnx.TensorProto.FLOAT or len(dims) != 4:
        raise ModelError(f"{label}: the input {shown(value)} is not a float32 image of shape {_SHAPES[layout]}")
    channels, *sides = (dims[1], dims[2], dims[3]) if layout == "nchw" else (dims[3], dims[1], dims[2])
    if channels.HasField("dim_value") and channels.dim_value != 3:
        place = "second" if layout == "nchw" else "last"
        raise ModelError(
            f"{label}: the input {shown(value)} does not have 3 channels in {place} place{_other(dims, layout)}"
        )
    fix_batch(value, label)
    channels.dim_value = 3
    for dim, side, name in zip(sides, size or (0, 0), ("height", "width"), strict=True):
        if not dim.HasField("dim_value"):
            if not side:
                raise UsageError(
                    f"{label} leaves the image's {name} free: say it with --size HEIGHTxWIDTH; of an input that is no"
                    " image, say the --shape"
                )
            dim.dim_value = side
        elif any_size:
            raise UsageError(
                f"{label} fixes the image's {name} to {dim.dim_value}, so it does not take any size: export it with"
                " free sides, or build it without --any-size"
            )
        elif side and side != dim.dim_value:
            raise UsageError(f"--size says {name} {side}, but {label} fixes it to {dim.dim_value}")
    if layout == "nhwc":
        _channels_first(model.graph, value)
    return model


def _other(dims: Sequence[onnx.TensorShapeProto.Dimension], layout: Layout) -> str:
    """What to say instead, where the other layout fits."""
    if layout == "nhwc":
        return "; say --layout nchw" if dims[1].dim_value == 3 else ""
    if dims[3].dim_value != 3:
        return ""
    shape = [dim.dim_value for dim in dims[1:]]
    known = f" {joined(shape)}" if all(shape) else ""
    return f"; say --layout nhwc, or of an input that is no image the --shape{known}"


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
