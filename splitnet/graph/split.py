"""A network taken apart: its cuts with shapes and costs, and its edge, cloud and head graphs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, groupby

import onnx

from splitnet.errors import ModelError
from splitnet.graph.cost import macs, operands
from splitnet.graph.cuts import MOST_TENSORS, trace
from splitnet.graph.extract import extract, tidy
from splitnet.graph.free import Free, free_axes
from splitnet.graph.shapes import Tensor, shapes
from splitnet.graph.tensors import inputs

_DTYPES: dict[int, str] = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.FLOAT16: "float16"}


@dataclass(frozen=True)
class Crossing:
    """A tensor that crosses; its shape has no batch dimension. `free` are its axes that follow the image's size."""

    tensor: str
    shape: tuple[int, ...]
    dtype: str
    free: tuple[int, ...] = field(default=(), kw_only=True)

    @property
    def nbytes(self) -> int:
        """Bytes for one input."""
        return math.prod(self.shape) * (2 if self.dtype == "float16" else 4)


@dataclass(frozen=True)
class CutPoint(Crossing):
    """The tensor that crosses, the one computed last where there are `more`; multiply-adds for one input."""

    macs_before: int
    macs_after: int
    more: tuple[Crossing, ...] = ()

    @property
    def crossing(self) -> tuple[Crossing, ...]:
        """All tensors, this one first."""
        return (self, *self.more)

    @property
    def tensors(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(one.tensor for one in self.crossing)


@dataclass(frozen=True)
class SplitNetwork:
    """A whole network (input -> task outputs) with everything known about where it can be cut.

    `shared` is the tensor at which every cloud graph ends: the last one through which all outputs are
    computed. An output that is not `shared` itself needs a head graph from `shared`. Where all outputs share nothing
    but the input, it is None, and every cloud graph ends at the outputs. `types` are those of the size that the model
    says; where it takes others, `free` has the axes of each tensor, batch not counted, that follow the size.
    """

    whole: onnx.ModelProto
    source: str
    outputs: tuple[str, ...]
    shared: str | None
    cuts: tuple[CutPoint, ...]
    types: dict[str, Tensor]
    free_batch: bool
    free: Free = field(default_factory=dict)

    @property
    def input_cut(self) -> CutPoint:
        """The input itself as a cut: nothing runs before it."""
        first = self.cuts[0]
        shape = self.types[self.source].shape[1:]
        total = first.macs_before + first.macs_after
        return CutPoint(self.source, shape, "float32", 0, total, free=self.free.get(self.source, ()))

    @property
    def ends(self) -> tuple[str, ...]:
        """The outputs of every cloud graph."""
        return self.outputs if self.shared is None else (self.shared,)

    def edge(self, cut: CutPoint) -> onnx.ModelProto:
        """Graph from the input to the cut's tensors."""
        return self._part([self.source], cut.tensors, "edge")

    def cloud(self, cut: CutPoint) -> onnx.ModelProto:
        """Graph from the cut's tensors to the `ends`; it passes a tensor through that is both."""
        return self._part(cut.tensors, self.ends, "cloud")

    def head(self, output: str) -> onnx.ModelProto | None:
        """Graph from the shared tensor to `output`, or None where the cloud graph computes `output` itself."""
        if self.shared is None or output == self.shared:
            return None
        return self._part([self.shared], [output], "head")

    def _part(self, sources: Sequence[str], targets: Sequence[str], name: str) -> onnx.ModelProto:
        return extract(self.whole, [self._value(s) for s in sources], [self._value(t) for t in targets], name)

    def _value(self, name: str) -> onnx.ValueInfoProto:
        tensor = self.types[name]
        dims: list[str | int] = ["batch" if self.free_batch else tensor.shape[0], *tensor.shape[1:]]
        for axis in self.free.get(name, ()):
            dims[axis + 1] = f"{name}.{axis}"
        return onnx.helper.make_tensor_value_info(name, tensor.type, dims)


def split_network(
    model: onnx.ModelProto, outputs: Sequence[str], candidates: Sequence[str] | None = None, multiple: int = 0
) -> SplitNetwork:
    """Find where `model` can be cut.

    Parameters
    ----------
    model
        One input (see `splitnet.graph.load`) whose dimensions are fixed, but for the batch.
    outputs
        The outputs that tasks ask for; nothing else of the network is kept.
    candidates
        Tensors that may become cuts, for a network that names them; all when None.
    multiple
        Where the network takes images of any size whose sides are multiples of it: all graphs keep them free.

    Raises
    ------
    ModelError
        if an output does not depend on the input or has no batch dimension, if no cut is possible, or if the network
        does not take another size.
    """
    (source,) = inputs(model.graph)
    dim = source.type.tensor_type.shape.dim[0]
    free_batch = not dim.HasField("dim_value")
    flow = trace(model.graph, source.name, outputs)
    computed = {name for index in flow.nodes for name in model.graph.node[index].output}
    for name in outputs:
        if name not in computed:
            raise ModelError(f"the output {name!r} is not computed from the input")
    last, end = flow.crossings[-1]
    shared = None if last == source.name else last
    crossings: list[tuple[tuple[str, ...], int]] = [
        ((name,), at) for name, at in flow.crossings[1:] if not (len(outputs) == 1 and name == outputs[0])
    ]
    # Behind the shared tensor nothing is cut: what follows are the heads.
    crossings += [(names[::-1], at) for names, at in flow.together if shared is None or at < end]
    nodes = [model.graph.node[index] for index in flow.nodes]
    crossing = [name for names, _ in crossings for name in names]
    wanted = [source.name, *outputs, *crossing, *(name for node in nodes for name in operands(node))]
    types = shapes(model, 1, wanted)
    batched = _batched(model, types, [*outputs, *crossing], free_batch)
    for name in outputs:
        if name not in batched:
            raise ModelError(f"the output {name!r} has no batch dimension in front: {types[name].shape}")
    free = free_axes(model, multiple, [source.name, *outputs, *crossing], types, outputs) if multiple else {}
    if multiple:
        batched &= free.keys()
    cost = [0, *accumulate(macs(node, types) for node in nodes)]
    allowed = {name for name in batched & set(crossing) if types[name].type in _DTYPES and 0 not in types[name].shape}
    if candidates is not None:
        crossings = [(names, at) for names, at in crossings if len(names) == 1 and names[0] in set(candidates)]
    points = [
        _point([_crossing(name, types[name], free) for name in names], cost[at], cost[-1])
        for names, at in sorted(crossings, key=lambda one: one[1])
        if allowed.issuperset(names)
    ]
    cuts = _worth_keeping(points)
    if not cuts or (shared is not None and shared not in outputs and shared not in batched):
        raise ModelError(_no_cut([names for names, _ in crossings], types, allowed, batched))
    network = SplitNetwork(model, source.name, tuple(outputs), shared, cuts, types, free_batch, free)
    return _reduced(network)


def _crossing(name: str, tensor: Tensor, free: Free) -> Crossing:
    return Crossing(name, tensor.shape[1:], _DTYPES[tensor.type], free=free.get(name, ()))


def _point(crossing: Sequence[Crossing], before: int, total: int) -> CutPoint:
    first, *more = crossing
    return CutPoint(first.tensor, first.shape, first.dtype, before, total - before, tuple(more), free=first.free)


def _worth_keeping(points: Sequence[CutPoint]) -> tuple[CutPoint, ...]:
    """All cuts of one tensor, and of those of several the ones that have a point.

    These are bottlenecks, with fewer bytes than what comes before and after, even if skip connections make them larger
    than an earlier cut; and those that no other cut beats in both bytes and work of the edge. Almost every position of
    a residual network is a cut of several tensors, and hardly any is either. `points` are in the order of the network.
    """
    levels = [list(group) for _, group in groupby(range(len(points)), key=lambda index: _nbytes(points[index]))]
    sizes = [math.inf, *(_nbytes(points[level[0]]) for level in levels), math.inf]
    kept = set()
    for level, before, size, after in zip(levels, sizes, sizes[1:], sizes[2:], strict=False):
        if size < before and size < after:
            kept.add(min(level, key=lambda index: (points[index].macs_before, -index)))
    fewest = math.inf
    # Of equal cuts the last, often an activation, after which features code better.
    for index in sorted(range(len(points)), key=lambda k: (points[k].macs_before, _nbytes(points[k]), -k)):
        if _nbytes(points[index]) < fewest:
            fewest = _nbytes(points[index])
            kept.add(index)
    return tuple(point for index, point in enumerate(points) if not point.more or index in kept)


def _nbytes(point: CutPoint) -> int:
    return sum(one.nbytes for one in point.crossing)


def _no_cut(
    crossings: Sequence[tuple[str, ...]], types: Mapping[str, Tensor], allowed: set[str], batched: set[str]
) -> str:
    """What stands in the way at the place where fewest tensors cross."""
    if not crossings:
        return (
            f"the network cannot be split: between its input and its output there is no tensor, or more than"
            f" {MOST_TENSORS} cross everywhere"
        )
    name = next((name for name in min(crossings, key=len) if name not in allowed), min(crossings, key=len)[0])
    if types[name].type not in _DTYPES:
        kind = onnx.TensorProto.DataType.Name(types[name].type)
        return f"the network cannot be split: the tensor {name!r} crosses and is {kind}, not float32 or float16"
    if name not in batched:
        what = f"the tensor {name!r} of shape {types[name].shape} crosses"
        return f"the network cannot be split: {what} and has no batch in front, or does not follow the image's size"
    if 0 in types[name].shape:
        return f"the network cannot be split: the tensor {name!r} of shape {types[name].shape} is empty"
    return "the network cannot be split: the tensor that all outputs share has no batch in front"


def _batched(model: onnx.ModelProto, types: dict[str, Tensor], names: Sequence[str], free_batch: bool) -> set[str]:
    """The names whose first dimension is the batch, and only the first."""
    single = {name for name in names if types[name].shape[:1] == (1,)}
    if not free_batch:
        return single
    double = shapes(model, 2, single)
    return {name for name in single if double[name].shape == (2, *types[name].shape[1:])}


def _reduced(network: SplitNetwork) -> SplitNetwork:
    """The same network without what no task needs, its inputs and outputs in the form of all the other
    graphs.
    """
    properties = list(network.whole.metadata_props)
    whole = network._part([network.source], network.outputs, "whole")
    whole.metadata_props.extend(properties)
    return SplitNetwork(
        tidy(whole),
        network.source,
        network.outputs,
        network.shared,
        network.cuts,
        network.types,
        network.free_batch,
        network.free,
    )
