"""Every tensor is there before a node reads it, or one line says why not."""

from __future__ import annotations

import onnx

from splitnet.errors import ModelError
from splitnet.graph.stored import shown
from splitnet.graph.tensors import constants, reads


def check_order(graph: onnx.GraphProto) -> None:
    """Raise ModelError unless `graph`'s nodes stand in an order in which they can run.

    The message tells a tensor that nobody makes (missing weights) from a cycle, and both from nodes that are only not
    sorted. ONNX's own check sees all three, but calls them one thing.
    """
    given = {value.name for value in graph.input} | constants(graph)
    known = set(given)
    made = {name for node in graph.node for name in node.output if name}
    unsorted = None
    for node in graph.node:
        for name in reads(node):
            if name not in known and name not in made:
                raise ModelError(
                    f"a node {node.op_type} reads {shown(name)}, which is neither an input nor computed, and its"
                    " weights are missing: the file is incomplete"
                )
            if name not in known and unsorted is None:
                unsorted = name
        known.update(node.output)
    if unsorted is None:
        return
    caught = _in_cycle(graph, given)
    if caught is not None:
        raise ModelError(f"its nodes go round in a cycle through {shown(caught)}")
    raise ModelError(f"its nodes are not sorted: {shown(unsorted)} is read before it is computed; export it again")


def _in_cycle(graph: onnx.GraphProto, given: set[str]) -> str | None:
    """A tensor on a cycle, or None where some order of the nodes works."""
    waits = [{name for name in reads(node) if name not in given} for node in graph.node]
    readers: dict[str, list[int]] = {}
    for index, names in enumerate(waits):
        for name in names:
            readers.setdefault(name, []).append(index)
    ready = [index for index, names in enumerate(waits) if not names]
    while ready:
        for name in graph.node[ready.pop()].output:
            for index in readers.get(name, ()):
                waits[index].discard(name)
                if not waits[index]:
                    ready.append(index)
    stuck = next((min(names) for names in waits if names), None)
    if stuck is None:
        return None
    # What is stuck may only stand behind the cycle: go back until a tensor comes again.
    makers = {name: index for index, node in enumerate(graph.node) for name in node.output if name}
    seen: set[str] = set()
    while stuck not in seen:
        seen.add(stuck)
        stuck = min(waits[makers[stuck]])
    return stuck
