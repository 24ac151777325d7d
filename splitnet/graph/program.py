"""Somebody else's torch network becomes an ONNX graph: a module, or a program saved by ``torch.export.save``."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass
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

_ONE_BATCH = "its code works for one number of images alone: write x.shape[0] or -1 where it has a number"
_SOME_SIZES = "its code does not work for all of them"


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


@dataclass(frozen=True)
class FreeSides:
    """The two axes of an image, batch not counted, that stay free in steps of `multiple` pixels."""

    axes: tuple[int, int]
    multiple: int


def export_module(
    module: nn.Module, shape: Sequence[int], label: str, name: str = INPUT, free: FreeSides | None = None
) -> onnx.ModelProto:
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
    free
        Sides of an image that are free in the graph beside the batch.

    Raises
    ------
    ModelError
        if torch cannot trace or translate the module, or its code works for one size alone where sides are `free`.
    """
    named = _Named(module).eval()
    example, dims = _example(shape, free)
    try:
        with _quiet(), torch.no_grad():
            program = torch.export.export(named, (example,), dynamic_shapes=(dims,), strict=False)
    except Exception as error:  # tracing raises whatever the traced code raises
        if free is None:
            raise ModelError(f"torch cannot export {label}: {_line(error)}") from error
        raise ModelError(
            f"torch cannot export {label} for images of any size in steps of {free.multiple}:"
            f" {_line(error, _SOME_SIZES)}; a larger --any-size may help, or build it without"
        ) from error
    model = _translate(program, label, "module", name)
    if free is not None:
        _name_sides(model, free)
    ask_nearby(model, shape)
    return model


def _example(shape: Sequence[int], free: FreeSides | None) -> tuple[Tensor, dict[int, Any]]:
    """Zeros to trace with, and the dimensions that are free."""
    # Two inputs: a dimension of one would be taken for a constant, as would a single step.
    sides = [2, *shape]
    dims: dict[int, Any] = {0: torch.export.Dim("batch")}
    if free is not None:
        rows, columns = (max(2, shape[axis] // free.multiple) for axis in free.axes)
        # Different ones, for sides that are alike could be taken for one.
        for axis, steps, name in zip(free.axes, (rows, columns + (rows == columns)), ("rows", "columns"), strict=True):
            dims[axis + 1] = free.multiple * torch.export.Dim(name, min=1)
            sides[axis + 1] = free.multiple * steps
    return torch.zeros(sides), dims


def _name_sides(model: onnx.ModelProto, free: FreeSides) -> None:
    """Nothing that torch numbers stays: the same module gives the same bytes."""
    for axis, side in zip(free.axes, ("height", "width"), strict=True):
        model.graph.input[0].type.tensor_type.shape.dim[axis + 1].dim_param = side
    for value in model.graph.output:
        for dim in value.type.tensor_type.shape.dim[1:]:
            if dim.HasField("dim_param"):
                dim.ClearField("dim_param")


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
        raise ModelError(f"{path} needs exactly one input; it has {count}")
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


def _line(error: BaseException, violated: str = _ONE_BATCH) -> str:
    """The first line of the error at the bottom of the chain: those above say only which step failed.

    `violated` is what it says where a dimension is not as free as it should be.
    """
    while error.__cause__ is not None:
        error = error.__cause__
    text = str(error).strip() or type(error).__name__
    if text.startswith("Constraints violated"):
        return violated
    return text.splitlines()[0].partition(" Please check")[0].rstrip(".")[:300]


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
