"""A torch module becomes an ONNX graph whose tensors carry the names that the module gives them."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import onnx
import torch
from torch import Tensor, nn

from splitnet.errors import ModelError
from splitnet.graph.extract import tidy

OPSET = 18


class _Named(nn.Module):
    """Turns a module's dictionary of tensors into a tuple in the order of `names`: what an exporter can
    name.
    """

    def __init__(self, module: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.module = module
        self.names = tuple(names)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        tensors = self.module(image)
        return tuple(tensors[name] for name in self.names)


def export(
    module: nn.Module, shape: Sequence[int], *, input_name: str, inner: Sequence[str], outputs: Sequence[str]
) -> onnx.ModelProto:
    """Export `module`, which maps a float32 tensor to a dictionary of named tensors.

    Every tensor in `inner` keeps its name inside the graph, whatever the exporter calls the others; only
    `outputs` are outputs of the graph. The same module gives the same bytes every time, without paths,
    stack traces or doc strings.

    Parameters
    ----------
    shape
        Shape of the input without the batch dimension, which is free in the graph.

    Raises
    ------
    ModelError
        if torch cannot export the module, or one of the names got lost.
    """
    names = [*inner, *outputs]
    # Two images: the exporter treats a dimension of one as a constant.
    example = torch.zeros(2, *shape)
    try:
        with _quiet(), torch.no_grad():
            program = torch.onnx.export(
                _Named(module, names).eval(),
                (example,),
                dynamo=True,
                input_names=[input_name],
                output_names=names,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                opset_version=OPSET,
                verbose=False,
            )
    except Exception as error:  # the exporter raises whatever the code it traces raises
        raise ModelError(f"torch cannot export the network: {(str(error).splitlines() or [''])[0]}") from error
    if program is None:
        raise ModelError("torch exported nothing")
    model: onnx.ModelProto = program.model_proto
    kept = [output for output in model.graph.output if output.name in set(outputs)]
    computed = {name for node in model.graph.node for name in node.output}
    lost = [name for name in names if name not in computed]
    if lost or len(kept) != len(outputs):
        raise ModelError(f"the exporter lost the tensor {(lost or list(outputs))[0]!r}")
    del model.graph.output[:]
    model.graph.output.extend(sorted(kept, key=lambda output: list(outputs).index(output.name)))
    return tidy(model)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's chatter (deprecations inside torch, absent optional packages) from the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
