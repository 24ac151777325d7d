"""Subgraphs between tensors, and what is stripped from a graph before it is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import onnx

from splitnet.errors import ModelError
from splitnet.graph.tensors import constants, reads, subgraphs


def extract(
    model: onnx.ModelProto,
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[onnx.ValueInfoProto],
    name: str,
) -> onnx.ModelProto:
    """The part of `model` that computes `outputs` from `inputs`, with the initializers it needs and no
    others.

    Tensor names and the order of nodes stay. An output that is also an input is passed through.

    Raises
    ------
    ModelError
        if an output depends on something that is neither an input nor a constant.
    """
    graph = model.graph
    given = {value.name for value in inputs}
    needed = {value.name for value in outputs}
    chosen = []
    for node in reversed(graph.node):
        if any(result in needed and result not in given for result in node.output):
            needed.update(reads(node))
            chosen.append(node)
    chosen.reverse()
    held = constants(graph)
    made = given | held | {result for node in chosen for result in node.output}
    missing = sorted(needed - made)
    if missing:
        raise ModelError(f"{name}: the tensor {missing[0]!r} crosses the cut too, so the graph cannot be split here")
    part = onnx.helper.make_graph(
        chosen,
        name,
        list(inputs),
        list(outputs),
        [tensor for tensor in graph.initializer if tensor.name in needed],
        sparse_initializer=[tensor for tensor in graph.sparse_initializer if tensor.values.name in needed],
    )
    result = onnx.helper.make_model(
        part, opset_imports=model.opset_import, ir_version=model.ir_version, functions=model.functions
    )
    return tidy(result)


def tidy(model: onnx.ModelProto) -> onnx.ModelProto:
    """Strip what says where and how `model` was made, in place: doc strings, traces, intermediate shapes."""
    model.producer_name, model.producer_version, model.doc_string = "splitnet", "", ""
    for function in model.functions:
        function.doc_string = ""
        _strip(function.node)
    _tidy_graph(model.graph)
    return model


def _tidy_graph(graph: onnx.GraphProto) -> None:
    graph.doc_string = ""
    del graph.value_info[:]
    del graph.metadata_props[:]
    for value in (*graph.input, *graph.output):
        value.doc_string = ""
        del value.metadata_props[:]
    for tensor in graph.initializer:
        tensor.doc_string = ""
        del tensor.metadata_props[:]
    _strip(graph.node)


def _strip(nodes: Iterable[onnx.NodeProto]) -> None:
    for node in nodes:
        node.doc_string = ""
        del node.metadata_props[:]
        for graph in subgraphs(node):
            _tidy_graph(graph)


def serialise(model: onnx.ModelProto) -> bytes:
    """Bytes of `model`, the same for equal models. Raises ModelError beyond protobuf's 2 GiB."""
    try:
        return model.SerializeToString(deterministic=True)
    except Exception as error:  # protobuf raises ValueError or EncodeError, by version
        raise ModelError(f"the graph cannot be written as one file: {error}") from error
