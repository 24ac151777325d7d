"""What crosses where: the single-tensor cuts of a graph, and the small sets of tensors that cross together.

A tensor crosses alone exactly when every path from the input to an output runs through it (it dominates the
outputs). In any topological order of the nodes that matter, such a tensor has a position after which
nothing else is alive, so one sweep over the nodes finds them all, in time linear in the number of edges.
At every other position several tensors are alive, and together they are a cut too; which sets are found depends
on the order of the nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import onnx

from splitnet.graph.tensors import reads

MOST_TENSORS = 16
"""The most tensors that a cut may have: where more are alive, as in densely connected networks, it never pays."""


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
    together
        ``(tensors, position)`` for every set of 2 to `MOST_TENSORS` tensors that cross together, each in the order
        in which it was computed. The position is the first one.
    """

    nodes: tuple[int, ...]
    crossings: tuple[tuple[str, int], ...]
    together: tuple[tuple[tuple[str, ...], int], ...] = ()


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
    return Flow(tuple(live), tuple(alone.items()), _together(names, born, last_use, len(live)))


def _together(
    names: Sequence[str], born: Mapping[str, int], last_use: Mapping[str, int], end: int
) -> tuple[tuple[tuple[str, ...], int], ...]:
    """Sets of tensors alive at a position: born <= position < last use. `names` are in order of birth."""
    starts: dict[int, list[str]] = {}
    stops: dict[int, list[str]] = {}
    for name in names:
        if born[name] < last_use[name]:
            starts.setdefault(born[name], []).append(name)
            stops.setdefault(last_use[name], []).append(name)
    alive: dict[str, None] = {}
    sets: dict[tuple[str, ...], int] = {}
    for position in range(end):
        for name in stops.get(position, ()):
            alive.pop(name, None)
        alive.update(dict.fromkeys(starts.get(position, ())))
        if 2 <= len(alive) <= MOST_TENSORS:
            sets.setdefault(tuple(alive), position)
    return tuple(sets.items())


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
