"""An ``.onnx`` file that somebody else exported."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx

from splitnet.errors import ModelError, UsageError
from splitnet.graph.tensors import inputs, subgraphs

MAX_BYTES = (1 << 31) - 1
"""What one protobuf message can hold."""


def load_onnx(path: Path, size: tuple[int, int] | None = None) -> onnx.ModelProto:
    """Read, check and prepare a network with one image input of shape (N, 3, height, width), float32.

    Parameters
    ----------
    size
        Height and width, needed where the graph leaves them free.

    Raises
    ------
    ModelError
        if the file is not readable, not ONNX, inconsistent, keeps weights in other files, or has no such
        input.
    UsageError
        if `size` is needed and missing, or contradicts the graph.
    """
    model = parse(path)
    external = [tensor.name for tensor in _tensors(model.graph) if tensor.data_location == onnx.TensorProto.EXTERNAL]
    if external:
        raise ModelError(
            f"{path} keeps the weights {external[0]!r} in another file: save it as one with onnx.save_model"
        )
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # ValidationError, or whatever the checker's C++ side throws
        raise ModelError(f"{path} is not a valid ONNX network: {_line(error)}") from error
    _fix_input(model, path, size)
    return model


def parse(path: Path) -> onnx.ModelProto:
    """The file as ONNX, not checked. Raises ModelError if it cannot be read or parsed."""
    try:
        if not path.is_file():
            raise ModelError(f"{path} is not a file")
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path} is larger than 2 GiB, which no single ONNX file can be")
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError lives in different modules by version
        raise ModelError(f"{path} is not an ONNX file") from error
    if not model.HasField("graph") or not model.graph.node:
        raise ModelError(f"{path} holds no network")
    return model


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        yield from (attribute.t for attribute in node.attribute if attribute.HasField("t"))
        for inner in subgraphs(node):
            yield from _tensors(inner)


def _fix_input(model: onnx.ModelProto, path: Path, size: tuple[int, int] | None) -> None:
    values = inputs(model.graph)
    if len(values) != 1:
        names = ", ".join(value.name for value in values) or "none"
        raise ModelError(f"{path} needs exactly one input, an image; it has {len(values)}: {names}")
    value = values[0]
    kind = value.type.tensor_type
    dims = kind.shape.dim
    for dim in dims:
        # Some exporters write -1 for a free dimension.
        if dim.HasField("dim_value") and dim.dim_value <= 0:
            dim.ClearField("dim_value")
    shown = f"{value.name!r} {[dim.dim_value or dim.dim_param or '?' for dim in dims]}"
    if kind.elem_type != onnx.TensorProto.FLOAT or len(dims) != 4:
        raise ModelError(f"{path}: the input {shown} is not a float32 image of shape (N, 3, height, width)")
    if dims[1].HasField("dim_value") and dims[1].dim_value != 3:
        raise ModelError(f"{path}: the input {shown} does not have 3 channels in second place")
    if dims[0].HasField("dim_value") and dims[0].dim_value != 1:
        raise ModelError(f"{path}: the input {shown} fixes the batch to {dims[0].dim_value}; export it with a free one")
    dims[1].dim_value = 3
    for dim, side, name in zip(dims[2:], size or (0, 0), ("height", "width"), strict=True):
        if not dim.HasField("dim_value"):
            if not side:
                raise UsageError(f"{path} leaves the image's {name} free: say it with --size HEIGHTxWIDTH")
            dim.dim_value = side
        elif side and side != dim.dim_value:
            raise UsageError(f"--size says {name} {side}, but {path} fixes it to {dim.dim_value}")


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
