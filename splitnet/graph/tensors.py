"""Which tensors a node reads, and which a graph holds as constants."""

from __future__ import annotations

from collections.abc import Iterator

import onnx


def reads(node: onnx.NodeProto) -> tuple[str, ...]:
    """Names that `node` reads, without repetition, with those that its subgraphs (If, Loop, Scan) take from
    outside.
    """
    names = dict.fromkeys(name for name in node.input if name)
    for graph in subgraphs(node):
        names.update(dict.fromkeys(_captured(graph)))
    return tuple(names)


def subgraphs(node: onnx.NodeProto) -> Iterator[onnx.GraphProto]:
    """The graphs in `node`'s attributes."""
    for attribute in node.attribute:
        if attribute.type == onnx.AttributeProto.GRAPH:
            yield attribute.g
        elif attribute.type == onnx.AttributeProto.GRAPHS:
            yield from attribute.graphs


def _captured(graph: onnx.GraphProto) -> Iterator[str]:
    known = {value.name for value in graph.input} | constants(graph)
    for node in graph.node:
        yield from (name for name in reads(node) if name not in known)
        known.update(node.output)
    yield from (value.name for value in graph.output if value.name not in known)


def constants(graph: onnx.GraphProto) -> set[str]:
    """Names of `graph`'s initializers."""
    return {tensor.name for tensor in graph.initializer} | {tensor.values.name for tensor in graph.sparse_initializer}


def inputs(graph: onnx.GraphProto) -> list[onnx.ValueInfoProto]:
    """The real inputs: old files list initializers among them as defaults."""
    held = constants(graph)
    return [value for value in graph.input if value.name not in held]


def names(graph: onnx.GraphProto) -> set[str]:
    """Every name of a tensor in `graph`, those of subgraphs too."""
    found = constants(graph) | {value.name for value in (*graph.input, *graph.output)}
    for node in graph.node:
        found.update(node.input, node.output)
        for inner in subgraphs(node):
            found |= names(inner)
    return found
