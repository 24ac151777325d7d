"""How many images there are is asked of a tensor nearby, not of the input."""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from splitnet.graph.shapes import shapes
from splitnet.graph.tensors import inputs, names


def ask_nearby(model: onnx.ModelProto, shape: Sequence[int]) -> None:
    """Let every Expand to the batch's size read that size from its own data, in place.

    torch asks the input for it, as in ``functional.normalize``: the answer would cross every cut beside the features.
    Only what has the batch in front itself is changed. `shape` is one that the input may have, without the batch.
    """
    graph = model.graph
    source = inputs(graph)[0].name
    asked = {node.output[0] for node in graph.node if _is_batch_of(node, source)}
    built = {
        node.output[0]: node
        for node in graph.node
        if node.op_type == "Concat" and node.input and node.input[0] in asked
    }
    expands = [node for node in graph.node if node.op_type == "Expand" and node.input[1] in built]
    data = {node.input[0] for node in expands} - {tensor.name for tensor in graph.initializer}
    if not data:
        return
    one, two = (shapes(model, batch, data, shape) for batch in (1, 2))
    taken = names(graph)
    for node in expands:
        name = node.input[0]
        if name not in data or (one[name].shape[:1], two[name].shape[:1]) != ((1,), (2,)):
            continue
        size, sides = (_free(taken, f"{node.output[0]}.{what}") for what in ("batch", "shape"))
        concat = onnx.NodeProto()
        concat.CopyFrom(built[node.input[1]])
        concat.ClearField("name")
        concat.input[0], concat.output[0] = size, sides
        at = next(index for index, other in enumerate(graph.node) if other.output == node.output)
        graph.node.insert(at, onnx.helper.make_node("Shape", [name], [size], start=0, end=1))
        graph.node.insert(at + 1, concat)
        graph.node[at + 2].input[1] = sides


def _is_batch_of(node: onnx.NodeProto, source: str) -> bool:
    ends = {attribute.name: attribute.i for attribute in node.attribute}
    return (
        node.op_type == "Shape" and list(node.input) == [source] and (ends.get("start", 0), ends.get("end")) == (0, 1)
    )


def _free(taken: set[str], name: str) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
