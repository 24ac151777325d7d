"""A network taken apart: its cuts with shapes and costs, and its edge, cloud and head graphs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import onnx

from splitnet.errors import ModelError
from splitnet.graph.cost import macs, operands
from splitnet.graph.cuts import trace
from splitnet.graph.extract import extract, tidy
from splitnet.graph.shapes import Tensor, shapes
from splitnet.graph.tensors import inputs

_DTYPES: dict[int, str] = {onnx.TensorProto.FLOAT: "float32", onnx.TensorProto.FLOAT16: "float16"}


@dataclass(frozen=True)
class CutPoint:
    """A tensor that crosses alone: shape without the batch dimension, multiply-adds for one input."""

    tensor: str
    shape: tuple[int, ...]
    dtype: str
    macs_before: int
    macs_after: int


@dataclass(frozen=True)
class SplitNetwork:
    """A whole network (input -> task outputs) with everything known about where it can be cut.

    `shared` is the tensor at which every cloud graph ends: the last one through which all outputs are
    computed. An output that is not `shared` itself needs a head graph from `shared`.
    """

    whole: onnx.ModelProto
    source: str
    outputs: tuple[str, ...]
    shared: str
    cuts: tuple[CutPoint, ...]
    types: dict[str, Tensor]
    free_batch: bool

    @property
    def input_cut(self) -> CutPoint:
        """The input itself as a cut: nothing runs before it."""
        first = self.cuts[0]
        shape = self.types[self.source].shape[1:]
        return CutPoint(self.source, shape, "float32", 0, first.macs_before + first.macs_after)

    def edge(self, cut: CutPoint) -> onnx.ModelProto:
        """Graph from the input to the cut's tensor."""
        return self._part([self.source], [cut.tensor], "edge")

    def cloud(self, cut: CutPoint) -> onnx.ModelProto:
        """Graph from the cut's tensor to the shared tensor; it passes the tensor through where the two are
        the same.
        """
        return self._part([cut.tensor], [self.shared], "cloud")

    def head(self, output: str) -> onnx.ModelProto | None:
        """Graph from the shared tensor to `output`, or None where it is `output`."""
        return None if output == self.shared else self._part([self.shared], [output], "head")

    def _part(self, sources: Sequence[str], targets: Sequence[str], name: str) -> onnx.ModelProto:
        return extract(self.whole, [self._value(s) for s in sources], [self._value(t) for t in targets], name)

    def _value(self, name: str) -> onnx.ValueInfoProto:
        tensor = self.types[name]
        batch: str | int = "batch" if self.free_batch else tensor.shape[0]
        return onnx.helper.make_tensor_value_info(name, tensor.type, [batch, *tensor.shape[1:]])


def split_network(
    model: onnx.ModelProto, outputs: Sequence[str], candidates: Sequence[str] | None = None
) -> SplitNetwork:
    """Find where `model` can be cut.

    Parameters
    ----------
    model
        One image input (see `splitnet.graph.load`) whose dimensions are fixed, but for the batch.
    outputs
        The outputs that tasks ask for; nothing else of the network is kept.
    candidates
        Tensors that may become cuts, for a network that names them; all when None.

    Raises
    ------
    ModelError
        if an output does not depend on the image or has no batch dimension, or if no cut is possible.
    """
    (source,) = inputs(model.graph)
    dim = source.type.tensor_type.shape.dim[0]
    free_batch = not dim.HasField("dim_value")
    flow = trace(model.graph, source.name, outputs)
    computed = {name for index in flow.nodes for name in model.graph.node[index].output}
    for name in outputs:
        if name not in computed:
            raise ModelError(f"the output {name!r} is not computed from the image")
    crossings = [(name, at) for name, at in flow.crossings[1:] if not (len(outputs) == 1 and name == outputs[0])]
    shared = flow.crossings[-1][0]
    nodes = [model.graph.node[index] for index in flow.nodes]
    wanted = [source.name, *outputs, *(name for name, _ in crossings)]
    wanted += [name for node in nodes for name in operands(node)]
    types = shapes(model, 1, wanted)
    batched = _batched(model, types, [*outputs, *(name for name, _ in crossings)], free_batch)
    for name in outputs:
        if name not in batched:
            raise ModelError(f"the output {name!r} has no batch dimension in front: {types[name].shape}")
    cost = [0, *accumulate(macs(node, types) for node in nodes)]
    cuts = tuple(
        CutPoint(name, types[name].shape[1:], _DTYPES[types[name].type], cost[at], cost[-1] - cost[at])
        for name, at in crossings
        if name in batched and types[name].type in _DTYPES and (candidates is None or name in set(candidates))
    )
    if not cuts or (shared not in outputs and shared not in batched):
        raise ModelError("the network has no place where a single tensor crosses, so it cannot be split")
    network = SplitNetwork(model, source.name, tuple(outputs), shared, cuts, types, free_batch)
    return _reduced(network)


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
    )
