"""Multiply-adds of a graph's nodes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import onnx

from splitnet.graph.shapes import Tensor

Shapes = Mapping[str, Tensor]


def _conv(node: onnx.NodeProto, shapes: Shapes) -> int:
    # Weights are (out, in / groups, *kernel): every output value takes one row of them.
    return math.prod(shapes[node.output[0]].shape) * math.prod(shapes[node.input[1]].shape[1:])


def _conv_transpose(node: onnx.NodeProto, shapes: Shapes) -> int:
    # Weights are (in, out / groups, *kernel): every input value meets one row of them.
    return math.prod(shapes[node.input[0]].shape) * math.prod(shapes[node.input[1]].shape[1:])


def _gemm(node: onnx.NodeProto, shapes: Shapes) -> int:
    transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return math.prod(shapes[node.output[0]].shape) * shapes[node.input[0]].shape[0 if transposed else 1]


def _matmul(node: onnx.NodeProto, shapes: Shapes) -> int:
    return math.prod(shapes[node.output[0]].shape) * shapes[node.input[0]].shape[-1]


_COUNTED: dict[str, Callable[[onnx.NodeProto, Shapes], int]] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
}


def operands(node: onnx.NodeProto) -> tuple[str, ...]:
    """The tensors whose shapes `macs` needs for `node`; empty for a node that is not counted."""
    return (node.input[0], node.input[1], node.output[0]) if _counts(node) else ()


def macs(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Multiply-adds of one run of `node`: of Conv, ConvTranspose, Gemm and MatMul; all others count as zero.

    Biases, activations and what runs inside If, Loop and Scan are left out.
    """
    return _COUNTED[node.op_type](node, shapes) if _counts(node) else 0


def _counts(node: onnx.NodeProto) -> bool:
    return node.domain in ("", "ai.onnx") and node.op_type in _COUNTED
