"""Nodes and weights of one graph go into another, under names that are still free there."""

from __future__ import annotations

from collections.abc import Mapping

import onnx
import onnx.inliner

from splitnet.errors import ModelError
from splitnet.graph.tensors import names, subgraphs


class Graft:
    """Adds to `graph`, in place; `reserved` names are not given to anything by chance."""

    def __init__(self, graph: onnx.GraphProto, reserved: frozenset[str] = frozenset()) -> None:
        self.graph = graph
        self._taken = names(graph) | reserved
        self._node_names = {node.name for node in graph.node if node.name}

    def free_name(self, label: str, name: str) -> str:
        """`name`, or where that is taken the same behind `label`; taken from now on."""
        candidate, number = name or "tensor", 1
        while candidate in self._taken:
            candidate = f"{label}.{name}" if number == 1 else f"{label}.{name}.{number}"
            number += 1
        self._taken.add(candidate)
        return candidate

    def add_weights(self, tensor: onnx.TensorProto, name: str) -> None:
        """Copy an initializer as `name`."""
        copy = self.graph.initializer.add()
        copy.CopyFrom(tensor)
        copy.name = name

    def add_node(self, node: onnx.NodeProto, renamed: Mapping[str, str]) -> None:
        """Copy a node, its inputs and outputs called what `renamed` says."""
        copy = self.graph.node.add()
        copy.CopyFrom(node)
        copy.input[:] = [renamed[name] for name in node.input]
        copy.output[:] = [renamed[name] for name in node.output]
        # Names of nodes are optional, but nobody takes two of one name.
        if copy.name in self._node_names:
            copy.ClearField("name")
        elif copy.name:
            self._node_names.add(copy.name)


def flattened(model: onnx.ModelProto, label: str) -> onnx.ModelProto:
    """`model` without local functions. Raises ModelError where nodes hold graphs or weights are sparse: neither can be
    combined with another network.
    """
    if model.functions:
        try:
            model = onnx.inliner.inline_local_functions(model)
        except Exception as error:  # the inliner's C++ side throws what it likes
            raise ModelError(f"{label}: its local functions cannot be written out: {error}") from error
    for node in model.graph.node:
        if any(True for _ in subgraphs(node)):
            raise ModelError(
                f"{label} has control flow ({node.op_type}), so it cannot be combined with another network"
            )
    if model.graph.sparse_initializer:
        raise ModelError(f"{label} has sparse weights, so it cannot be combined with another network; make them dense")
    return model


def opsets(model: onnx.ModelProto) -> dict[str, int]:
    """Domain -> version of the operators that `model` uses."""
    return {("" if entry.domain == "ai.onnx" else entry.domain): entry.version for entry in model.opset_import}
