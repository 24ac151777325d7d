"""Another network's graph goes on from a tensor of the network: one more head."""

from __future__ import annotations

import difflib

import onnx

from splitnet.errors import ModelError, UsageError
from splitnet.graph.graft import Graft, flattened, opsets
from splitnet.graph.shapes import Tensor, shapes
from splitnet.graph.tensors import inputs


def attach(model: onnx.ModelProto, head: onnx.ModelProto, tensor: str, output: str, label: str) -> None:
    """Let `head`, which has one input and one output, go on from `tensor` of `model`, in place.

    Its output is called `output` and stands last among the outputs of `model`. A head with an older version of the
    operators is converted.

    Parameters
    ----------
    label
        What messages, and tensors whose names are taken, call the head.

    Raises
    ------
    UsageError
        if `model` does not compute `tensor`, or has a tensor called `output`.
    ModelError
        if the head has several inputs or outputs, does not fit the tensor, or cannot be combined with `model`.
    """
    _check_tensor(model.graph, tensor)
    head = _same_opset(flattened(head, label), model, label)
    values = inputs(head.graph)
    if len(values) != 1 or len(head.graph.output) != 1:
        raise ModelError(
            f"{label} has {len(values)} inputs and {len(head.graph.output)} outputs; a head has one of each"
        )
    _check_shape(values[0], shapes(model, 1, [tensor])[tensor], tensor, label)
    graft = Graft(model.graph)
    if graft.free_name(label, output) != output:
        raise UsageError(f"the network has a tensor {output!r} already: call the head something else")
    renamed = {"": "", values[0].name: tensor}
    for weights in head.graph.initializer:
        renamed[weights.name] = graft.free_name(label, weights.name)
        graft.add_weights(weights, renamed[weights.name])
    result = head.graph.output[0]
    for node in head.graph.node:
        for name in node.output:
            if name:
                renamed[name] = output if name == result.name else graft.free_name(label, name)
        graft.add_node(node, renamed)
    added = model.graph.output.add()
    added.CopyFrom(result)
    added.name = output
    known = opsets(model)
    for domain, version in opsets(head).items():
        if domain not in known:
            model.opset_import.append(onnx.helper.make_opsetid(domain, version))


def _check_tensor(graph: onnx.GraphProto, tensor: str) -> None:
    computed = {inputs(graph)[0].name} | {name for node in graph.node for name in node.output if name}
    if tensor not in computed:
        close = difflib.get_close_matches(tensor, computed, n=3)
        hint = f"did you mean {', '.join(close)}?" if close else "`splitnet inspect --all` of its bundle lists the cuts"
        raise UsageError(f"the network has no tensor {tensor!r}: {hint}")


def _same_opset(head: onnx.ModelProto, model: onnx.ModelProto, label: str) -> onnx.ModelProto:
    mine, theirs = opsets(model), opsets(head)
    for domain in sorted(mine.keys() & theirs.keys() - {""}):
        if mine[domain] != theirs[domain]:
            raise ModelError(f"{label} uses version {theirs[domain]} of {domain}, the network {mine[domain]}")
    if theirs.get("", mine[""]) == mine[""]:
        return head
    try:
        return onnx.version_converter.convert_version(head, mine[""])
    except Exception as error:  # the converter's C++ side throws what it likes
        raise ModelError(
            f"{label} uses version {theirs['']} of the ONNX operators and cannot be converted to the network's"
            f" {mine['']}: export it with opset_version={mine['']}"
        ) from error


def _check_shape(value: onnx.ValueInfoProto, found: Tensor, tensor: str, label: str) -> None:
    kind = value.type.tensor_type
    dims = [dim.dim_value if dim.dim_value > 0 else None for dim in kind.shape.dim]
    # The first dimension is the batch.
    fits = not kind.HasField("shape") or (
        len(dims) == len(found.shape)
        and all(mine in (None, theirs) for mine, theirs in zip(dims[1:], found.shape[1:], strict=True))
    )
    if kind.elem_type != found.type or not fits:
        wanted = f"{onnx.TensorProto.DataType.Name(kind.elem_type)} {[dim or '?' for dim in dims]}"
        has = f"{onnx.TensorProto.DataType.Name(found.type)} {list(found.shape)}"
        raise ModelError(f"{label} takes {wanted}, but the tensor {tensor!r} is {has}")
    if dims and dims[0] not in (None, 1):
        raise ModelError(f"{label} fixes the batch to {dims[0]}; export it with a free one")
