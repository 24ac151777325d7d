"""Somebody else's torch network becomes an ONNX graph: a module, or a program saved by ``torch.export.save``."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from splitnet.errors import ModelError
from splitnet.graph.batch import ask_nearby
from splitnet.graph.export import OPSET
from splitnet.graph.extract import tidy
from splitnet.graph.scopes import name_by_scope

INPUT, NO_IMAGE = "image", "input"
"""What the input is called, and one that is no image; a module's own name for it means nothing outside."""


class _Named(nn.Module):
    """A module's tensors, however it packs them, as one dictionary by name."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        named = {}
        for keys, leaf in pytree.tree_leaves_with_path(self.module(image)):
            if isinstance(leaf, Tensor):
                named[_name(keys)] = leaf
            elif leaf is not None:
                raise ModelError(f"it returns something of type {type(leaf).__name__} as {_name(keys)!r}, no tensor")
        return named


def export_module(module: nn.Module, shape: Sequence[int], label: str, name: str = INPUT) -> onnx.ModelProto:
    """Export `module`, which maps one float32 tensor to a tensor, or to a tuple, list or dictionary of tensors.

    Outputs are called by their keys, ``output`` for a single tensor, ``output0`` and so on for several without names.
    A tensor that leaves a part of the module has that part's name, for example ``features.3``. The same module gives
    the same bytes every time, without paths or stack traces.

    Parameters
    ----------
    shape
        Shape of the input without the batch dimension, which is free in the graph.
    label
        What messages call the network.
    name
        What the graph calls its input.

    Raises
    ------
    ModelError
        if torch cannot trace or translate the module.
    """
    named = _Named(module).eval()
    # Two inputs: a dimension of one would be taken for a constant.
    example = torch.zeros(2, *shape)
    shapes = ({0: torch.export.Dim("batch")},)
    try:
        with _quiet(), torch.no_grad():
            program = torch.export.export(named, (example,), dynamic_shapes=shapes, strict=False)
    except Exception as error:  # tracing raises whatever the traced code raises
        raise ModelError(f"torch cannot export {label}: {_line(error)}") from error
    model = _translate(program, label, "module", name)
    ask_nearby(model)
    return model


def export_program(path: Path) -> onnx.ModelProto:
    """Translate a ``.pt2`` file. torch reads it with pickle: only load files that you trust as you trust code.

    Raises ModelError if it cannot be read or translated.
    """
    if not path.is_file():
        raise ModelError(f"{path} is not a file")
    try:
        with _quiet():
            program = torch.export.load(path)
    except Exception as error:  # zip, JSON and pickle errors, and torch's own
        raise ModelError(f"{path} is not a program saved by torch.export.save: {_line(error)}") from error
    if len(program.graph_signature.user_inputs) != 1:
        count = len(program.graph_signature.user_inputs)
        raise ModelError(f"{path} needs exactly one input, an image; it has {count}")
    return _translate(program, str(path), "", INPUT if _takes_image(program) else NO_IMAGE)


def _takes_image(program: Any) -> bool:
    """Whether the example that it was traced with is (N, 3, height, width)."""
    (source,) = (node for node in program.graph.nodes if node.name == program.graph_signature.user_inputs[0])
    example = source.meta.get("val")
    return isinstance(example, Tensor) and example.ndim == 4 and example.shape[1] == 3


def _translate(program: Any, label: str, prefix: str, name: str) -> onnx.ModelProto:
    outputs = pytree.tree_unflatten(list(program.graph_signature.user_outputs), program.call_spec.out_spec)
    names = []
    for keys, leaf in pytree.tree_leaves_with_path(outputs):
        # A tensor's place holds the name of a node, a constant's the constant.
        if isinstance(leaf, str):
            names.append(_name(keys))
        elif leaf is not None:
            raise ModelError(f"{label} returns {leaf!r} as {_name(keys)!r}, no tensor")
    if not names:
        raise ModelError(f"{label} returns no tensor")
    try:
        with _quiet(), torch.no_grad():
            exported = torch.onnx.export(
                program, (), input_names=[name], output_names=names, opset_version=OPSET, verbose=False
            )
    except Exception as error:  # translation meets operators it does not know, among others
        raise ModelError(f"torch cannot translate {label} to ONNX: {_line(error)}") from error
    if exported is None:
        raise ModelError(f"torch exported nothing of {label}")
    model: onnx.ModelProto = exported.model_proto
    name_by_scope(model.graph, prefix)
    # What torch calls the batch follows from its inner numbering.
    batch = model.graph.input[0].type.tensor_type.shape.dim[0].dim_param
    for value in (*model.graph.input, *model.graph.output):
        for dim in value.type.tensor_type.shape.dim:
            if batch and dim.dim_param == batch:
                dim.dim_param = "batch"
    return tidy(model)


def _name(keys: Sequence[Any]) -> str:
    parts = [str(next(getattr(key, field) for field in ("key", "idx", "name") if hasattr(key, field))) for key in keys]
    name = ".".join(parts)
    return f"output{name}" if name[:1].isdecimal() or not name else name


def _line(error: BaseException) -> str:
    """The first line of the error at the bottom of the chain: those above say only which step failed."""
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error).strip() or type(error).__name__
    if text.startswith("Constraints violated"):
        return "its code works for one number of images alone: write x.shape[0] or -1 where it has a number"
    return text.splitlines()[0].partition(" Please check")[0][:300]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep torch's chatter (deprecations inside torch, absent optional packages) from the user."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "torch")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        # Of code that it cannot trace, torch prints its own reading.
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
