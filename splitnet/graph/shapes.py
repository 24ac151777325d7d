"""Shapes and types of the tensors in a graph."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from splitnet.errors import ModelError
from splitnet.graph.extract import serialise
from splitnet.graph.stored import MAX_BYTES, claimed_bytes, shown
from splitnet.graph.tensors import inputs
from splitnet.runtime.onnxruntime_engine import OnnxGraph


@dataclass(frozen=True)
class Tensor:
    """ONNX element type and shape, batch dimension included, of a tensor."""

    type: int
    shape: tuple[int, ...]


def shapes(
    model: onnx.ModelProto, batch: int, wanted: Iterable[str], shape: Sequence[int] | None = None
) -> dict[str, Tensor]:
    """Shapes of the tensors in `wanted` for `batch` inputs of `shape`, which has no batch dimension.

    Without `shape`, all dimensions of the input but the batch must be fixed.

    ONNX's shape inference comes first; what it leaves open is read off a run of the graph on zeros.

    Raises
    ------
    ModelError
        if inference finds a contradiction or a tensor of more than 2 GiB, or the run fails.
    """
    fixed = onnx.ModelProto()
    fixed.CopyFrom(model)
    source = inputs(fixed.graph)[0]
    for dim, side in zip(source.type.tensor_type.shape.dim, (batch, *(shape or ())), strict=False):
        dim.dim_value = side
    # Declared output shapes are often symbols that contradict the fixed input.
    for value in fixed.graph.output:
        value.type.tensor_type.ClearField("shape")
    del fixed.graph.value_info[:]
    try:
        inferred = onnx.shape_inference.infer_shapes(fixed, strict_mode=False, data_prop=True)
    except Exception as error:  # onnx.shape_inference.InferenceError, or protobuf's
        raise ModelError(f"the network's shapes do not fit together: {_line(error)}") from error
    graph = inferred.graph
    known = {tensor.name: Tensor(tensor.data_type, tuple(tensor.dims)) for tensor in graph.initializer}
    for value in (*graph.value_info, *graph.output, *graph.input):
        tensor = _complete(value)
        if tensor is not None:
            known[value.name] = tensor
    _check_sizes(known)
    wanted = tuple(dict.fromkeys(wanted))
    missing = [name for name in wanted if name not in known]
    if missing:
        known.update(_run(fixed, known[source.name], missing))
    for name in wanted:
        if min(known[name].shape, default=0) < 0:
            raise ModelError(f"the network's shapes do not fit together: {name!r} would be {known[name].shape}")
    return {name: known[name] for name in wanted}


def _check_sizes(known: dict[str, Tensor]) -> None:
    """A few bytes of a graph can ask for any amount of memory: nothing runs before this."""
    for name, tensor in known.items():
        if min(tensor.shape, default=0) < 0:
            continue
        size = claimed_bytes(onnx.TensorProto(name=name, data_type=tensor.type, dims=tensor.shape))
        if size > MAX_BYTES:
            raise ModelError(
                f"the tensor {shown(name)} of shape {list(tensor.shape)[:8]} would take {size} bytes, more than 2 GiB:"
                " a smaller --size may help"
            )


def _complete(value: onnx.ValueInfoProto) -> Tensor | None:
    kind = value.type.tensor_type
    if not kind.HasField("shape") or not kind.elem_type:
        return None
    if not all(dim.HasField("dim_value") for dim in kind.shape.dim):
        return None
    return Tensor(kind.elem_type, tuple(dim.dim_value for dim in kind.shape.dim))


def _run(model: onnx.ModelProto, source: Tensor, names: list[str]) -> dict[str, Tensor]:
    name = inputs(model.graph)[0].name
    del model.graph.output[:]
    model.graph.output.extend(onnx.ValueInfoProto(name=missing) for missing in names)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(source.type)
    try:
        arrays = OnnxGraph(serialise(model)).run({name: np.zeros(source.shape, dtype)})
    except ModelError as error:
        raise ModelError(f"the network does not take an input of shape {list(source.shape)}: {error}") from error
    found = {}
    for tensor, array in zip(names, arrays, strict=True):
        if not isinstance(array, np.ndarray):
            raise ModelError(f"the value {tensor!r} is not a tensor")
        found[tensor] = Tensor(onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
    return found


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
