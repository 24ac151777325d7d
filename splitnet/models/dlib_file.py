"""A trained network out of dlib's file format, as far as an inference network needs it: numpy only, no code is run.

A network of dlib (Davis King) is a loss layer around layers around layers: first come the versions of all wrappers
from the outermost to the innermost, then the input layer, then what every layer holds, from the input outwards, each
with the state of its training behind it. Tags and skips hold nothing but their version, so the layers stand in the
order in which they compute.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from splitnet.models.dlib_stream import DlibStream, Floats


@dataclass(frozen=True)
class Convolution:
    """Cross-correlation: weight (outputs, inputs, rows, columns), bias (outputs); stride and padding of both axes."""

    weight: Floats
    bias: Floats
    stride: int
    padding: int


@dataclass(frozen=True)
class Affine:
    """Per channel, x gain + shift: what inference leaves of a batch norm. Both (channels)."""

    gain: Floats
    shift: Floats


@dataclass(frozen=True)
class Pool:
    """`kind` is max or avg over windows of `kernel` x `kernel` values; `kernel` 0 is the whole map."""

    kind: str
    kernel: int
    stride: int


@dataclass(frozen=True)
class Relu:
    """max(x, 0)."""


@dataclass(frozen=True)
class AddSkip:
    """Adds the tagged tensor, both laid at the first row, column and channel of one that holds either."""


@dataclass(frozen=True)
class Dense:
    """x weight, without bias: weight (inputs, outputs)."""

    weight: Floats


Layer = Convolution | Affine | Pool | Relu | AddSkip | Dense


@dataclass(frozen=True)
class DlibNetwork:
    """The layers from the input to the output, and the input: red, green and blue mean of 0 to 255, rows, columns.

    dlib divides the centred pixels by 256. The arrays are read-only views of the file's bytes.
    """

    mean: tuple[float, float, float]
    size: tuple[int, int]
    layers: tuple[Layer, ...]


def read_network(data: bytes, name: str) -> DlibNetwork:
    """Read a metric-learning network (``loss_metric_2``) on RGB images; `name` stands for the file in messages.

    Raises
    ------
    ModelError
        if the bytes are cut short, go on behind the end, hold a layer or version that this reader does not know, or
        sizes that contradict each other. Nothing is allocated for a size before the bytes for it are seen.
    """
    file = DlibStream(data, name)
    file.expect(1, "version of the loss layer")
    file.expect_text("loss_metric_2")
    file.reals(2)
    held = _held(file)
    file.expect_text("input_rgb_image_sized")
    red, green, blue = file.reals(3)
    size = (file.count("rows"), file.count("columns"))
    layers = []
    for index in range(held):
        layers.append(_layer(file))
        _skip_training_state(file, innermost=index == 0)
    file.end()
    return DlibNetwork((red, green, blue), size, tuple(layers))


def _held(file: DlibStream) -> int:
    """How many layers hold something: version 2, and 3 for the innermost; 1 is a tag or a skip."""
    found = 1
    while (version := file.integer()) != 3:
        if version not in (1, 2):
            raise file.error(f"version of a layer is {version}")
        found += version - 1
    return found


def _skip_training_state(file: DlibStream, *, innermost: bool) -> None:
    """Three truth values, two gradients and the cached output; the innermost layer has a number more."""
    file.flags(3)
    for _ in range(3):
        file.tensor()
    if innermost:
        file.expect(1, "sample expansion factor")


def _layer(file: DlibStream) -> Layer:
    kind = file.text()
    try:
        reader = _READERS[kind]
    except KeyError:
        raise file.error(f"unknown layer {kind!r}") from None
    return reader(file)


def _convolution(file: DlibStream) -> Convolution:
    values = file.tensor()
    filters, rows, columns = (file.count(what) for what in ("filters", "rows", "columns"))
    stride, padding = _both(file, "stride"), _both(file, "padding")
    weight, bias = file.alias(), file.alias()
    file.reals(4)
    if (weight[0], *weight[2:]) != (filters, rows, columns) or bias != (1, filters, 1, 1):
        raise file.error(f"{filters} filters of {rows}x{columns} with weights {weight} and biases {bias}")
    if not stride or padding >= min(rows, columns):
        raise file.error(f"a filter of {rows}x{columns} with stride {stride} and padding {padding}")
    first, second = _divide(file, values, math.prod(weight), filters)
    return Convolution(first.reshape(weight), second, stride, padding)


def _affine(file: DlibStream) -> Affine:
    values = file.tensor()
    gain, shift = file.alias(), file.alias()
    file.expect(0, "mode of an affine layer")
    if gain != shift or gain != (1, gain[1], 1, 1):
        raise file.error(f"gains {gain} and shifts {shift}")
    return Affine(*_divide(file, values, gain[1], gain[1]))


def _pool(file: DlibStream, kind: str) -> Pool:
    kernel, stride = _both(file, "kernel"), _both(file, "stride")
    padding = _both(file, "padding")
    if padding or not stride:
        raise file.error(f"a pool with stride {stride} and padding {padding}")
    return Pool(kind, kernel, stride)


def _dense(file: DlibStream) -> Dense:
    outputs, inputs = file.count("outputs"), file.count("inputs")
    values = file.tensor()
    weight, bias = file.alias(), file.alias()
    file.expect(1, "bias mode of a dense layer")
    file.reals(4)
    if weight != (inputs, outputs, 1, 1) or any(bias):
        raise file.error(f"{inputs} inputs and {outputs} outputs with weights {weight} and biases {bias}")
    (matrix,) = _divide(file, values, inputs * outputs)
    return Dense(matrix.reshape(inputs, outputs))


def _both(file: DlibStream, what: str) -> int:
    """A number of the rows and the same of the columns."""
    rows, columns = file.count(what), file.count(what)
    if rows != columns:
        raise file.error(f"{what} of {rows}x{columns}")
    return rows


def _divide(file: DlibStream, values: Floats, *parts: int) -> list[Floats]:
    if sum(parts) != values.size:
        raise file.error(f"{values.size} parameters where {sum(parts)} belong")
    return np.split(values, np.cumsum(parts)[:-1])


_READERS: dict[str, Callable[[DlibStream], Layer]] = {
    "con_4": _convolution,
    "affine_": _affine,
    "relu_": lambda _: Relu(),
    "max_pool_2": lambda file: _pool(file, "max"),
    "avg_pool_2": lambda file: _pool(file, "avg"),
    "add_prev_": lambda _: AddSkip(),
    "fc_2": _dense,
}
