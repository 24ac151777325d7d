"""Tensors of an exported torch network get the names of the modules that they leave."""

from __future__ import annotations

import ast
from collections.abc import Iterator

import onnx

from splitnet.graph.tensors import names, subgraphs

_SCOPES = "pkg.torch.onnx.name_scopes"


def name_by_scope(graph: onnx.GraphProto, prefix: str) -> None:
    """Rename, in place, the last tensor that each module computes to the module's path, as in ``features.3``.

    Where several modules end with one tensor, the outermost gives the name. Inputs, outputs and weights keep theirs.

    Parameters
    ----------
    prefix
        Path of the network inside the module that was exported; left out of names.
    """
    last: dict[str, str] = {}
    for node in graph.node:
        for path in _paths(node, prefix):
            last[path] = node.output[0]
    fixed = {value.name for value in (*graph.input, *graph.output)}
    renamed: dict[str, str] = {}
    taken = names(graph)
    for path in sorted(last, key=lambda path: (path.count("."), path)):
        tensor = last[path]
        if tensor not in fixed and tensor not in renamed and path not in taken:
            renamed[tensor] = path
            taken.add(path)
    _rename(graph, renamed)


def _paths(node: onnx.NodeProto, prefix: str) -> Iterator[str]:
    text = next((entry.value for entry in node.metadata_props if entry.key == _SCOPES), "[]")
    try:
        scopes = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return
    # The last entry is the operation itself.
    for scope in scopes[:-1]:
        path = str(scope).removeprefix(prefix).lstrip(".")
        if path:
            yield path


def _rename(graph: onnx.GraphProto, renamed: dict[str, str]) -> None:
    for node in graph.node:
        for names_of in (node.input, node.output):
            for index, name in enumerate(names_of):
                if name in renamed:
                    names_of[index] = renamed[name]
        for inner in subgraphs(node):
            _rename(inner, renamed)
