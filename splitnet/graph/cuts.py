"""Where one tensor alone crosses: the single-tensor cuts of a graph.

A tensor is one exactly when every path from the input to an output runs through it (it dominates the
outputs). In any topological order of the nodes that matter, such a tensor has a position after which
nothing else is alive, so one sweep over the nodes finds them all, in time linear in the number of edges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import onnx

from splitnet.graph.tensors import reads


@dataclass(frozen=True)
class Flow:
    """The part of a graph through which the input reaches the outputs.

    Attributes
    ----------
    nodes
        Indices into ``graph.node`` of the nodes that depend on the input and that an output depends on, in
        order.
    crossings
        ``(tensor, position)`` for every tensor that crosses alone, from the input on: it is the only live
        tensor once the first `position` of `nodes` have run. The input itself is first; with a single
        output, that output is last.
    """

    nodes: tuple[int, ...]
    crossings: tuple[tuple[str, int], ...]


def trace(graph: onnx.GraphProto, source: str, outputs: Sequence[str]) -> Flow:
    """Follow the tensor `source` to `outputs` through `graph`, whose nodes are topologically sorted.

    Initializers, and whatever is computed from them alone, can be on both sides and never cross.
    """
    live = _live(graph, source, outputs)
    born = {source: 0}
    last_use = {source: 0}
    for position, index in enumerate(live, start=1):
        for name in reads(graph.node[index]):
            if name in last_use:
                last_use[name] = position
        for name in graph.node[index].output:
            if name:
                born[name] = last_use[name] = position
    for name in outputs:
        if name in last_use:
            last_use[name] = len(live) + 1
    # Tensor number k lives at positions born <= p < last use: as differences, the number of live tensors
    # and the sum of their k are two running sums, and where one is alive the second sum is its k.
    names = list(born)
    count, total = [0] * (len(live) + 2), [0] * (len(live) + 2)
    for number, name in enumerate(names):
        for at, sign in ((born[name], 1), (last_use[name], -1)):
            count[at] += sign
            total[at] += sign * number
    alone: dict[str, int] = {}
    for position, (alive, number) in enumerate(zip(accumulate(count), accumulate(total), strict=True)):
        if alive == 1:
            alone.setdefault(names[number], position)
    return Flow(tuple(live), tuple(alone.items()))


def _live(graph: onnx.GraphProto, source: str, outputs: Sequence[str]) -> list[int]:
    depends = {source}
    moving = []
    for index, node in enumerate(graph.node):
        if not depends.isdisjoint(reads(node)):
            depends.update(name for name in node.output if name)
            moving.append(index)
    needed = set(outputs)
    live = []
    for index in reversed(moving):
        node = graph.node[index]
        if not needed.isdisjoint(node.output):
            needed.update(reads(node))
            live.append(index)
    return live[::-1]
