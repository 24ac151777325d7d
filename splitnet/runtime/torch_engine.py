"""Graphs on torch, an alternative to ONNX Runtime. Needs the extra ``[train]``.

A small interpreter of our own: the converters that are maintained need torchvision, which has no build for every torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import onnx
import torch
from onnx import numpy_helper

from splitnet.errors import ModelError
from splitnet.runtime.graph import Array, TensorSpec
from splitnet.runtime.torch_ops import OPERATORS


class TorchGraph:
    """An ONNX graph run by torch, node by node; only the nodes that the outputs asked for need.

    Parameters
    ----------
    model
        The bytes of an ``.onnx`` file of opset 13 or newer.
    name
        What errors call the graph.
    device
        A torch device, such as ``cpu`` or ``cuda``.

    Raises
    ------
    ModelError
        if it cannot be read, has an operator that is not in `torch_ops.OPERATORS`, or fails while it runs.
    """

    def __init__(self, model: bytes, *, name: str = "graph", device: str = "cpu") -> None:
        self.name = name
        try:
            graph = onnx.load_from_string(model).graph
            self._device = torch.device(device)
            self._constants = {
                one.name: torch.tensor(numpy_helper.to_array(one), device=self._device) for one in graph.initializer
            }
        except Exception as error:  # protobuf, onnx and torch share no exception
            raise ModelError(f"torch cannot load {name}: {str(error).splitlines()[0]}") from error
        unknown = sorted({node.op_type for node in graph.node} - OPERATORS.keys())
        if unknown:
            raise ModelError(f"torch cannot run {name}: no operator {', '.join(unknown)}; use --backend onnxruntime")
        self._nodes = [
            (
                OPERATORS[node.op_type],
                list(node.input),
                list(node.output),
                {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute},
            )
            for node in graph.node
        ]
        self.inputs = tuple(_spec(value) for value in graph.input if value.name not in self._constants)
        self.outputs = tuple(_spec(value) for value in graph.output)
        self._needed = lru_cache(maxsize=64)(self._find_needed)

    def run(self, feeds: Mapping[str, Array], outputs: Sequence[str] | None = None) -> list[Array]:
        """Compute `outputs` (all of them, in order, when None) from named inputs."""
        names = tuple(spec.name for spec in self.outputs) if outputs is None else tuple(outputs)
        try:
            with torch.inference_mode():
                values: dict[str, Any] = dict(self._constants)
                values |= {name: torch.tensor(array, device=self._device) for name, array in feeds.items()}
                for number in self._needed(names):
                    run, inputs, made, attributes = self._nodes[number]
                    result = run([values[name] if name else None for name in inputs], attributes)
                    values.update(zip(made, result if isinstance(result, list) else [result], strict=False))
                return [values[name].cpu().numpy() for name in names]
        except Exception as error:
            raise ModelError(f"torch failed in {self.name}: {str(error).splitlines()[:1]}") from error

    def _find_needed(self, outputs: tuple[str, ...]) -> tuple[int, ...]:
        wanted, found = set(outputs), []
        for number in reversed(range(len(self._nodes))):
            _, inputs, made, _ = self._nodes[number]
            if wanted.intersection(made):
                found.append(number)
                wanted.update(inputs)
        return tuple(reversed(found))


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    kind = value.type.tensor_type
    shape = tuple(side.dim_value if side.HasField("dim_value") else None for side in kind.shape.dim)
    return TensorSpec(value.name, onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name, shape)
