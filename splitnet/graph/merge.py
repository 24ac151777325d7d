"""Networks that begin with the same layers become one, which runs those layers once."""

from __future__ import annotations

from collections.abc import Mapping

import onnx

from splitnet.errors import ModelError, UsageError
from splitnet.graph.graft import Graft, flattened, opsets
from splitnet.graph.inputs import dims_of
from splitnet.graph.sides import joined
from splitnet.graph.structure import INPUT, node_kind, tensor_keys
from splitnet.graph.tensors import inputs

Keys = Mapping[str, bytes]


def merge(models: Mapping[str, onnx.ModelProto]) -> onnx.ModelProto:
    """One network with the outputs of all `models`, label -> network with one input of fixed shape.

    Nodes that compute the same from the input on (operator, attributes, weights and inputs are equal, whatever they
    are called) are there once. The first network's tensors keep their names. An output whose name another network uses
    for something else gets the label in front, ``cats.logits``; one that several networks have in common is one.

    Raises
    ------
    ModelError
        if a network shares no node with those before it, or they use different versions of the operators, or one has
        control flow.
    UsageError
        if their inputs differ in shape.
    """
    flat = {label: flattened(model, label) for label, model in models.items()}
    first, *others = flat
    for label in others:
        _check_fits(first, flat[first], label, flat[label])
    keys = {label: tensor_keys(model.graph, label) for label, model in flat.items()}
    named = _outputs(flat, keys)
    merged = onnx.ModelProto(ir_version=max(model.ir_version for model in flat.values()))
    versions: dict[str, int] = {}
    for model in flat.values():
        versions |= opsets(model)
    merged.opset_import.extend(onnx.helper.make_opsetid(domain, versions[domain]) for domain in sorted(versions))
    merged.graph.name = "merged"
    source = merged.graph.input.add()
    source.CopyFrom(inputs(flat[first].graph)[0])
    _fix_batch(source, flat)
    graft = Graft(merged.graph, frozenset(named.values()))
    place = {INPUT: source.name, b"": ""}
    moving = {INPUT}
    for label, model in flat.items():
        if not _add(graft, label, model.graph, keys[label], named, place, moving) and label != first:
            raise ModelError(
                f"{first} and {label} share no layer: {_difference(flat[first].graph, model.graph)}; build them apart"
            )
    _add_outputs(merged.graph, flat, keys, named)
    return merged


def _add(
    graft: Graft,
    label: str,
    graph: onnx.GraphProto,
    keys: Keys,
    named: Mapping[bytes, str],
    place: dict[bytes, str],
    moving: set[bytes],
) -> int:
    """Copy what is not there yet; return how many of the nodes that depend on the input were there already."""
    shared = 0
    for tensor in graph.initializer:
        if keys[tensor.name] not in place:
            place[keys[tensor.name]] = graft.free_name(label, tensor.name)
            graft.add_weights(tensor, place[keys[tensor.name]])
    for node in graph.node:
        made = {name: keys[name] for name in node.output if name}
        moves = any(keys[name] in moving for name in node.input)
        if moves:
            moving.update(made.values())
        if all(key in place for key in made.values()):
            shared += moves
            continue
        for name, key in made.items():
            place[key] = named.get(key) or graft.free_name(label, name)
        graft.add_node(node, {name: place[keys[name]] for name in (*node.input, *node.output)})
    return shared


def _outputs(models: Mapping[str, onnx.ModelProto], keys: Mapping[str, Keys]) -> dict[bytes, str]:
    """Key of every output -> its name in the merged network."""
    found = [(label, value.name, keys[label][value.name]) for label, m in models.items() for value in m.graph.output]
    meanings: dict[str, set[bytes]] = {}
    for _, name, key in found:
        meanings.setdefault(name, set()).add(key)
    named: dict[bytes, str] = {}
    for label, name, key in found:
        wanted = name if len(meanings[name]) == 1 else f"{label}.{name}"
        while key not in named and wanted in named.values():
            wanted += "_"
        named.setdefault(key, wanted)
    return named


def _add_outputs(
    graph: onnx.GraphProto,
    models: Mapping[str, onnx.ModelProto],
    keys: Mapping[str, Keys],
    named: Mapping[bytes, str],
) -> None:
    there: set[str] = set()
    for label, model in models.items():
        for value in model.graph.output:
            name = named[keys[label][value.name]]
            if name not in there:
                copy = graph.output.add()
                copy.CopyFrom(value)
                copy.name = name
                there.add(name)


def _check_fits(first: str, one: onnx.ModelProto, label: str, other: onnx.ModelProto) -> None:
    shapes = [[dim.dim_value for dim in dims_of(inputs(model.graph)[0])[1:]] for model in (one, other)]
    if shapes[0] != shapes[1]:
        images = all(len(shape) == 3 and shape[0] == 3 for shape in shapes)
        shown = [joined(shape[1:] if images else shape) for shape in shapes]
        what = "images" if images else "inputs"
        raise UsageError(f"{first} takes {what} of {shown[0]}, {label} of {shown[1]}: one bundle has one input")
    mine, theirs = opsets(one), opsets(other)
    for domain in sorted(mine.keys() & theirs.keys()):
        if mine[domain] != theirs[domain]:
            raise ModelError(
                f"{first} uses version {mine[domain]} of the operators {domain or 'of ONNX'}, {label} version"
                f" {theirs[domain]}: export them alike"
            )


def _fix_batch(source: onnx.ValueInfoProto, models: Mapping[str, onnx.ModelProto]) -> None:
    firsts = [inputs(model.graph)[0].type.tensor_type.shape.dim[0] for model in models.values()]
    if any(dim.HasField("dim_value") for dim in firsts):
        source.type.tensor_type.shape.dim[0].dim_value = 1


def _difference(one: onnx.GraphProto, other: onnx.GraphProto) -> str:
    mine, theirs = (next((n for n in g.node if inputs(g)[0].name in n.input), g.node[0]) for g in (one, other))
    if mine.op_type != theirs.op_type:
        return f"one begins with {mine.op_type}, the other with {theirs.op_type}"
    part = "weights" if node_kind(mine) == node_kind(theirs) else "attributes"
    return f"the {part} of their first {mine.op_type} differ"
