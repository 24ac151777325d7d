"""How many bytes a tensor says it has, and how many there are.

A few bytes of a file can claim gigabytes. Every claim is added up here, before anything is allocated for it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator

import onnx
from onnx import TensorProto

from splitnet.errors import ModelError
from splitnet.graph.tensors import subgraphs

MAX_BYTES = (1 << 31) - 1
"""What one protobuf message can hold, so also what a network may weigh."""

_BITS = {"FLOAT": 32, "DOUBLE": 64, "BOOL": 8}
_COMPLEX = (TensorProto.COMPLEX64, TensorProto.COMPLEX128)
_TYPED = ("float_data", "int32_data", "int64_data", "double_data", "uint64_data")


def tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """Every tensor that `model` keeps: initializers and attributes, of subgraphs and local functions too."""
    yield from _of_graph(model.graph)
    for function in model.functions:
        yield from _of_nodes(function.node)


def claimed_bytes(tensor: TensorProto) -> int:
    """Bytes of `tensor` by its type and dims; of strings, whose size no dims say, those that are stored.

    Raises ModelError for a type that does not exist and for negative dims.
    """
    if tensor.data_type == TensorProto.STRING:
        return sum(map(len, tensor.string_data))
    return math.ceil(_elements(tensor) * _bits(tensor) / 8)


def check_claims(model: onnx.ModelProto) -> None:
    """Raise ModelError unless every tensor inside `model` holds exactly what its dims say, and all together, with
    those in other files and with sparse ones written out, stay below 2 GiB.
    """
    total = 0
    for tensor in tensors(model):
        total += claimed_bytes(tensor)
        if total > MAX_BYTES:
            break
        if tensor.data_location != TensorProto.EXTERNAL:
            _check_stored(tensor)
    for sparse in _sparse(model.graph):
        # ONNX Runtime writes them out in full.
        whole = TensorProto(name=sparse.values.name, data_type=sparse.values.data_type, dims=sparse.dims)
        total += claimed_bytes(whole)
    if total > MAX_BYTES:
        raise ModelError(f"its weights claim more than the 2 GiB that a network may have ({total} bytes or more)")


def shown(text: str) -> str:
    """`text` quoted for a message, on one line and not endless."""
    return repr(text if len(text) <= 100 else text[:97] + "...")


def _check_stored(tensor: TensorProto) -> None:
    if tensor.data_type == TensorProto.STRING:
        return
    claim = claimed_bytes(tensor)
    if tensor.HasField("raw_data"):
        stored = len(tensor.raw_data)
    else:
        entries = sum(len(getattr(tensor, name)) for name in _TYPED)
        per_entry = _bits(tensor) // (2 if tensor.data_type in _COMPLEX else 1)
        # Types of less than a byte are packed, a byte an entry.
        stored = entries * max(per_entry, 8) // 8
    if stored != claim:
        raise ModelError(
            f"the weights {shown(tensor.name)} of shape {list(tensor.dims)[:8]} need {claim} bytes, but the file holds"
            f" {stored}: it is damaged or incomplete"
        )


def _elements(tensor: TensorProto) -> int:
    if any(dim < 0 for dim in tensor.dims):
        raise ModelError(f"the weights {shown(tensor.name)} have the impossible shape {list(tensor.dims)[:8]}")
    if 0 in tensor.dims:
        return 0
    count = 1
    for dim in tensor.dims:
        count *= dim
        # Enough to be refused; the product of a million dims would take for ever.
        if count > 1 << 62:
            break
    return count


def _bits(tensor: TensorProto) -> int:
    kind = tensor.data_type
    name = TensorProto.DataType.Name(kind) if kind in TensorProto.DataType.values() else ""
    digits = re.search(r"\d+", name)
    bits = _BITS.get(name) or (int(digits[0]) if digits else 0)
    if not bits:
        raise ModelError(f"the weights {shown(tensor.name)} have the unknown type {kind}")
    return bits


def _of_graph(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (tensor for tensor in (sparse.values, sparse.indices) if tensor.data_type)
        for inner in subgraphs(node):
            yield from _of_graph(inner)


def _sparse(graph: onnx.GraphProto) -> Iterator[onnx.SparseTensorProto]:
    yield from graph.sparse_initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("sparse_tensor"):
                yield attribute.sparse_tensor
        for inner in subgraphs(node):
            yield from _sparse(inner)
