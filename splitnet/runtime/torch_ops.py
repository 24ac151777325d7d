"""ONNX operators on torch: those of the networks that splitnet splits. Needs the extra ``[train]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch.nn import functional

Tensor = torch.Tensor
Attributes = Mapping[str, Any]
Operator = Callable[[Sequence[Any], Attributes], Any]


def _pads(x: Tensor, kernel: Sequence[int], attributes: Attributes) -> tuple[Tensor, list[int]]:
    """ONNX's padding: begins, then ends, per axis -> the input, padded where torch cannot do it by itself."""
    axes = len(kernel)
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise NotImplementedError("auto_pad")
    pads = list(attributes.get("pads", [0] * 2 * axes))
    if pads[:axes] == pads[axes:]:
        return x, pads[:axes]
    flat = [side for axis in reversed(range(axes)) for side in (pads[axis], pads[axis + axes])]
    return functional.pad(x, flat), [0] * axes


def _conv(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    x, weight, bias = (*inputs, None)[:3]
    axes = weight.dim() - 2
    x, padding = _pads(x, weight.shape[2:], attributes)
    run: Any = (functional.conv1d, functional.conv2d, functional.conv3d)[axes - 1]
    strides, dilations = attributes.get("strides", [1] * axes), attributes.get("dilations", [1] * axes)
    result: Tensor = run(x, weight, bias, strides, padding, dilations, attributes.get("group", 1))
    return result


def _pool(inputs: Sequence[Any], attributes: Attributes, *, largest: bool) -> Tensor:
    x, kernel = inputs[0], attributes["kernel_shape"]
    begins, ends = (list(attributes.get("pads", [0] * 4))[part] for part in (slice(0, 2), slice(2, 4)))
    if len(kernel) != 2 or begins != ends or attributes.get("dilations", [1, 1]) != [1, 1]:
        raise NotImplementedError("pooling of another form than 2D with even padding")
    if attributes.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise NotImplementedError("auto_pad")
    strides, ceil = attributes.get("strides", [1, 1]), bool(attributes.get("ceil_mode", 0))
    if largest:
        return functional.max_pool2d(x, kernel, strides, begins, ceil_mode=ceil)
    whole = bool(attributes.get("count_include_pad", 0))
    return functional.avg_pool2d(x, kernel, strides, begins, ceil_mode=ceil, count_include_pad=whole)


def _gemm(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    a = inputs[0].T if attributes.get("transA") else inputs[0]
    b = inputs[1].T if attributes.get("transB") else inputs[1]
    result: Tensor = attributes.get("alpha", 1.0) * (a @ b)
    return result + attributes.get("beta", 1.0) * inputs[2] if len(inputs) > 2 else result


def _reduce(run: Callable[..., Any]) -> Operator:
    def reduce(inputs: Sequence[Any], attributes: Attributes) -> Any:
        axes = inputs[1].tolist() if len(inputs) > 1 and inputs[1] is not None else attributes.get("axes")
        if not axes:
            if attributes.get("noop_with_empty_axes"):
                return inputs[0]
            axes = list(range(inputs[0].dim()))
        return run(inputs[0], dim=axes, keepdim=bool(attributes.get("keepdims", 1)))

    return reduce


def _reshape(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    x, wanted = inputs[0], inputs[1].tolist()
    if not attributes.get("allowzero"):
        wanted = [x.shape[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    result: Tensor = x.reshape(wanted)
    return result


def _split(inputs: Sequence[Any], attributes: Attributes) -> list[Tensor]:
    x, axis = inputs[0], attributes.get("axis", 0)
    if len(inputs) > 1 and inputs[1] is not None:
        return list(torch.split(x, inputs[1].tolist(), axis))
    if "split" in attributes:
        return list(torch.split(x, attributes["split"], axis))
    return list(torch.chunk(x, attributes["num_outputs"], axis))


def _clip(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    low, high = (*inputs[1:], None, None)[:2]
    return torch.clamp(inputs[0], min=attributes.get("min", low), max=attributes.get("max", high))


def _transpose(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    result: Tensor = inputs[0].permute(attributes.get("perm", list(reversed(range(inputs[0].dim())))))
    return result


def _gather(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    x, index, axis = inputs[0], inputs[1], attributes.get("axis", 0) % inputs[0].dim()
    chosen = torch.index_select(x, axis, index.reshape(-1).long() % x.shape[axis])
    return chosen.reshape(*x.shape[:axis], *index.shape, *x.shape[axis + 1 :])


def _flatten(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    x, axis = inputs[0], attributes.get("axis", 1)
    result: Tensor = x.reshape(int(torch.tensor(x.shape[:axis]).prod()) if axis else 1, -1)
    return result


def _normalise(inputs: Sequence[Any], attributes: Attributes) -> Tensor:
    x, scale, bias, mean, variance = inputs
    return functional.batch_norm(x, mean, variance, scale, bias, eps=attributes.get("epsilon", 1e-5))


def _identity(inputs: Sequence[Any], attributes: Attributes) -> Any:
    return inputs[0]


OPERATORS: dict[str, Operator] = {
    "Add": lambda inputs, _: inputs[0] + inputs[1],
    "AveragePool": lambda inputs, attributes: _pool(inputs, attributes, largest=False),
    "BatchNormalization": _normalise,
    "Clip": _clip,
    "Concat": lambda inputs, attributes: torch.cat(list(inputs), attributes["axis"]),
    "Conv": _conv,
    "Div": lambda inputs, _: inputs[0] / inputs[1],
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda inputs, _: inputs[0].mean(dim=list(range(2, inputs[0].dim())), keepdim=True),
    "Identity": _identity,
    "MatMul": lambda inputs, _: inputs[0] @ inputs[1],
    "MaxPool": lambda inputs, attributes: _pool(inputs, attributes, largest=True),
    "Mul": lambda inputs, _: inputs[0] * inputs[1],
    "Pow": lambda inputs, _: inputs[0] ** inputs[1],
    "ReduceMean": _reduce(torch.mean),
    "ReduceSum": _reduce(torch.sum),
    "Relu": lambda inputs, _: torch.relu(inputs[0]),
    "Reshape": _reshape,
    "Shape": lambda inputs, _: torch.tensor(inputs[0].shape),
    "Sigmoid": lambda inputs, _: torch.sigmoid(inputs[0]),
    "Softmax": lambda inputs, attributes: torch.softmax(inputs[0], attributes.get("axis", -1)),
    "Split": _split,
    "Sqrt": lambda inputs, _: torch.sqrt(inputs[0]),
    "Sub": lambda inputs, _: inputs[0] - inputs[1],
    "Tanh": lambda inputs, _: torch.tanh(inputs[0]),
    "Transpose": _transpose,
}
"""Operator -> its function: (inputs, attributes) -> its output, or a list of several."""
