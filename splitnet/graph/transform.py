"""The calibrated transform as ONNX nodes: analysis behind an edge graph, synthesis in front of a cloud graph.

Feature maps (C, H, W) are cut into B blocks of (h, w) pixels, each channel goes through an orthonormal DCT-II along
both axes, the P = h * w frequencies are put in scan order, and each band of frequencies is multiplied by its own
C x C matrix: coefficients (B, P, C). Two small multiplications for the DCT take two thirds of the time of one with the
P x P matrix of both (80x14x14 on one core), and their weights do not grow with the square of P.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import onnx
from onnx import TensorProto, helper

from featcodec.quantisers import dct
from splitnet.errors import ModelError
from splitnet.graph.extract import tidy
from splitnet.runtime.graph import Array

OLDEST_OPSET = 13
"""Before it, Split and ReduceSum took their parameters as attributes."""

STEP, SYMBOLS, FINITE, COEFFICIENTS = "step", "symbols", "finite", "coefficients"
"""Names of the inputs and outputs that the transform adds to a graph."""

_PREFIX = "transform."
_LIMIT = 32767.5
"""Where rounding leaves int16; exact in float32."""


class TransformArrays(Protocol):
    """What the graphs need of a profile; `featcodec.TransformProfile` has it."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the feature maps; (C, 1, 1) for a vector."""

    @property
    def blocks(self) -> tuple[int, int]:
        """(h, w) of a block; h divides H, w divides W."""

    @property
    def frequencies(self) -> Array:
        """(P,) row j of a block is frequency (u, v) with u * w + v = frequencies[j]."""

    @property
    def bands(self) -> Array:
        """(P,) number of the matrix of row j; never falls."""

    @property
    def mean(self) -> Array:
        """(C,) float32."""

    @property
    def analysis(self) -> Array:
        """(G, C, C) float32; y = analysis[band] @ z."""

    @property
    def synthesis(self) -> Array:
        """(G, C, C) float32, the inverses."""


def with_analysis(edge: onnx.ModelProto, profile: TransformArrays) -> onnx.ModelProto:
    """`edge` continued from feature maps to symbols.

    A second input `step` (0-d float32) and instead of the feature maps the outputs `symbols`, int16 (batch, B, P, C),
    and `finite`, bool (batch,): whether every symbol is a number that int16 holds. Where it is not, the symbols of
    that image mean nothing. The graph keeps its opset (18 for networks of the zoo) and its batch, free or fixed.

    Raises
    ------
    ModelError
        if the graph's opset is older than `OLDEST_OPSET`, or a tensor in it has one of the new names.
    """
    (features,) = edge.graph.output
    part = _Part(edge, profile, (STEP, SYMBOLS, FINITE))
    name = part.as_float32(features)
    c, b, p = part.channels, part.count, part.pixels
    if b == 1:
        name = part.reshape(name, "maps", [0, c, p])
        name = part.node("Sub", [name, part.constant("mean", profile.mean.reshape(c, 1))], "centred")
        name = part.node("Transpose", [name], "pixels", perm=[0, 2, 1])
    else:
        name = part.reshape(name, "maps", [0, c, part.rows, part.h, part.columns, part.w])
        name = part.node("Sub", [name, part.constant("mean", profile.mean.reshape(c, 1, 1, 1, 1))], "centred")
        name = part.node("Transpose", [name], "pixels", perm=[0, 2, 4, 3, 5, 1])
    name = part.reshape(name, "columns", [0, b, part.h, part.w * c])
    name = part.node("MatMul", [part.constant("dct_rows", dct.matrix(part.h)), name], "rows_done")
    name = part.reshape(name, "rows", [0, b, part.h, part.w, c])
    name = part.node("MatMul", [part.constant("dct_columns", dct.matrix(part.w)), name], "columns_done")
    name = part.reshape(name, "spectrum", [0, b, p, c])
    name = part.node("Gather", [name, part.constant("scan", _int64(profile.frequencies))], "scanned", axis=2)
    name = part.banded(name, profile.analysis, "analysis")
    name = part.node("Div", [name, STEP], "scaled")
    inside = part.node("Less", [part.node("Abs", [name], "size"), part.constant("limit", np.float32(_LIMIT))], "inside")
    # Counted instead of compared by a maximum: NaN is not inside, whatever a maximum makes of it.
    outside = part.node("Cast", [part.node("Not", [inside], "outside")], "ones", to=TensorProto.FLOAT)
    sum_ = part.node("ReduceSum", [outside, part.constant("axes", _int64([1, 2, 3]))], "outsiders", keepdims=0)
    part.node("Less", [sum_, part.constant("half", np.float32(0.5))], FINITE, own=True)
    part.node("Cast", [part.node("Round", [name], "rounded")], SYMBOLS, own=True, to=TensorProto.INT16)
    batch = features.type.tensor_type.shape.dim[0]
    return part.model(
        "edge",
        [*edge.graph.node, *part.nodes],
        [*edge.graph.input, _value(STEP, TensorProto.FLOAT, [])],
        [_value(SYMBOLS, TensorProto.INT16, [batch, b, p, c]), _value(FINITE, TensorProto.BOOL, [batch])],
    )


def with_synthesis(cloud: onnx.ModelProto, profile: TransformArrays) -> onnx.ModelProto:
    """`cloud` begun from coefficients instead of feature maps; its outputs stay.

    The one input is `coefficients`, float32 (batch, B, P, C): reconstructed, not divided by a step, so that one graph
    serves every step. Raises ModelError as `with_analysis`.
    """
    (features,) = cloud.graph.input
    part = _Part(cloud, profile, (COEFFICIENTS,))
    c, b, p = part.channels, part.count, part.pixels
    name = part.banded(COEFFICIENTS, profile.synthesis, "synthesis")
    back = np.argsort(_int64(profile.frequencies), kind="stable")
    name = part.node("Gather", [name, part.constant("raster", _int64(back))], "spectrum", axis=2)
    name = part.reshape(name, "rows", [0, b, part.h, part.w, c])
    name = part.node("MatMul", [part.constant("idct_columns", dct.matrix(part.w).T), name], "columns_done")
    name = part.reshape(name, "columns", [0, b, part.h, part.w * c])
    name = part.node("MatMul", [part.constant("idct_rows", dct.matrix(part.h).T), name], "rows_done")
    if b == 1:
        name = part.reshape(name, "pixels", [0, p, c])
        name = part.node("Transpose", [name], "centred", perm=[0, 2, 1])
        name = part.node("Add", [name, part.constant("mean", profile.mean.reshape(c, 1))], "maps")
    else:
        name = part.reshape(name, "pixels", [0, part.rows, part.columns, part.h, part.w, c])
        name = part.node("Transpose", [name], "centred", perm=[0, 5, 1, 3, 2, 4])
        name = part.node("Add", [name, part.constant("mean", profile.mean.reshape(c, 1, 1, 1, 1))], "maps")
    shape = [dim.dim_value for dim in features.type.tensor_type.shape.dim[1:]]
    kind = features.type.tensor_type.elem_type
    if kind == TensorProto.FLOAT:
        part.reshape(name, features.name, [0, *shape], own=True)
    else:
        name = part.reshape(name, "features", [0, *shape])
        part.node("Cast", [name], features.name, own=True, to=kind)
    batch = features.type.tensor_type.shape.dim[0]
    return part.model(
        "cloud",
        [*part.nodes, *cloud.graph.node],
        [_value(COEFFICIENTS, TensorProto.FLOAT, [batch, b, p, c])],
        cloud.graph.output,
    )


def check_opset(model: onnx.ModelProto) -> None:
    """Raise ModelError where `model` uses operators too old for a transform."""
    opset = max((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), default=0)
    if opset < OLDEST_OPSET:
        raise ModelError(
            f"the network has opset {opset}; a transform needs {OLDEST_OPSET}: export it again, or convert it with"
            " onnx.version_converter"
        )


class _Part:
    """Nodes and constants in the making, beside those of `model`; their names have a prefix that nothing else has."""

    def __init__(self, model: onnx.ModelProto, profile: TransformArrays, names: Sequence[str]) -> None:
        check_opset(model)
        taken = _names(model.graph)
        clashes = sorted(name for name in taken if name in names or name.startswith(_PREFIX))
        if clashes:
            raise ModelError(f"the network calls a tensor {clashes[0]!r}, which the transform needs: rename it there")
        self._model, self._bands = model, _int64(profile.bands)
        self._constants: dict[str, onnx.TensorProto] = {}
        self.nodes: list[onnx.NodeProto] = []
        self.channels, height, width = profile.shape
        self.h, self.w = profile.blocks
        self.rows, self.columns = height // self.h, width // self.w
        self.count, self.pixels = self.rows * self.columns, self.h * self.w

    def node(self, operator: str, inputs: Sequence[str], output: str, *, own: bool = False, **attributes: Any) -> str:
        """Add a node; its output gets the prefix unless it has an `own` name."""
        name = output if own else _PREFIX + output
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, name: str, value: Array | np.floating[Any]) -> str:
        name = _PREFIX + name
        self._constants[name] = onnx.numpy_helper.from_array(np.array(value, order="C"), name)
        return name

    def reshape(self, name: str, output: str, shape: Sequence[int], *, own: bool = False) -> str:
        """0 stands for what the dimension was, so that the batch stays as it is."""
        return self.node("Reshape", [name, self.constant(f"{output}_shape", _int64(shape))], output, own=own)

    def as_float32(self, value: onnx.ValueInfoProto) -> str:
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            return value.name
        return self.node("Cast", [value.name], "features", to=TensorProto.FLOAT)

    def banded(self, name: str, matrices: Array, output: str) -> str:
        """Rows of (batch, B, P, C) times the matrix of their band. Bands are contiguous, so a split gives them."""
        counts = np.bincount(self._bands)
        if len(counts) == 1:
            return self.node("MatMul", [name, self.constant(f"{output}0", matrices[0].T)], output)
        parts = [f"{_PREFIX}{output}_in{band}" for band in range(len(counts))]
        self.nodes.append(
            helper.make_node("Split", [name, self.constant(f"{output}_rows", _int64(counts))], parts, axis=2)
        )
        done = [
            self.node("MatMul", [part, self.constant(f"{output}{band}", matrices[band].T)], f"{output}_out{band}")
            for band, part in enumerate(parts)
        ]
        return self.node("Concat", done, output, axis=2)

    def model(
        self,
        name: str,
        nodes: Sequence[onnx.NodeProto],
        inputs: Sequence[onnx.ValueInfoProto],
        outputs: Sequence[onnx.ValueInfoProto],
    ) -> onnx.ModelProto:
        given = self._model
        graph = helper.make_graph(
            nodes,
            name,
            inputs,
            outputs,
            [*given.graph.initializer, *self._constants.values()],
            sparse_initializer=given.graph.sparse_initializer,
        )
        return tidy(
            helper.make_model(
                graph, opset_imports=given.opset_import, ir_version=given.ir_version, functions=given.functions
            )
        )


def _int64(values: Array | Sequence[int]) -> Array:
    return np.asarray(values).astype(np.int64)


def _value(name: str, kind: int, dims: Sequence[onnx.TensorShapeProto.Dimension | int]) -> onnx.ValueInfoProto:
    shape = [dim if isinstance(dim, int) else (dim.dim_param or dim.dim_value or "batch") for dim in dims]
    return helper.make_tensor_value_info(name, kind, shape)


def _names(graph: onnx.GraphProto) -> set[str]:
    found = {value.name for value in graph.input} | {tensor.name for tensor in graph.initializer}
    return found.union(*(list(node.output) for node in graph.node))
