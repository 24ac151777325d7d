"""What the edge runs for a codec: the plain graph for one of feature maps, the transform graph for one of symbols."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

import numpy as np

import featcodec
from featcodec.quantisers.transform import Transform
from splitnet.bundle import Bundle
from splitnet.bundle.manifest import Cut
from splitnet.bundle.profiles import load_profile
from splitnet.errors import BundleError, ImageError, UsageError
from splitnet.runtime import Array
from splitnet.runtime.bundled import load_graph

Values = tuple[Array, ...]
"""What a codec takes: the tensors of a cut, batch dimension first, or the symbols of a transform."""

_COARSEST = np.array(np.finfo(np.float32).max, np.float32)


class Half(Protocol):
    """The first layers and the codec behind them."""

    def run(self, tensor: Array, spec: featcodec.Spec) -> Values:
        """Network input (1, 3, H, W), float32 -> what `frame` takes. Raises ImageError."""
        ...

    def frame(self, values: Values, spec: featcodec.Spec) -> bytes:
        """What `run` returned -> frame. Raises featcodec's errors."""
        ...


class PlainHalf:
    """Feature maps out of the plain graph, whatever codec behind it."""

    def __init__(self, bundle: Bundle, cut: Cut, threads: int) -> None:
        if cut.edge is None:
            raise BundleError(f"cut {cut.name} has no edge graph in {bundle.path}")
        self._graph = load_graph(bundle, cut.edge, threads=threads)
        self._input = self._graph.inputs[0].name
        self._outputs = [one.tensor for one in cut.crossing]
        missing = set(self._outputs) - {spec.name for spec in self._graph.outputs}
        if missing:
            raise BundleError(f"{bundle.path / cut.edge} does not compute {min(missing)!r}: build the bundle again")

    def run(self, tensor: Array, spec: featcodec.Spec | None = None) -> Values:
        return tuple(self._graph.run({self._input: tensor}, self._outputs))

    def frame(self, values: Values, spec: featcodec.Spec) -> bytes:
        return featcodec.encode_many(values, spec)


class TransformHalf:
    """Symbols out of the transform graph; the host codes them."""

    def __init__(self, bundle: Bundle, cut: Cut, threads: int) -> None:
        self.profile = load_profile(bundle, cut)
        assert cut.transform is not None
        self._graph = load_graph(bundle, cut.transform.edge, threads=threads)
        inputs = [spec.name for spec in self._graph.inputs if spec.name != "step"]
        symbols = [spec.shape[1:] for spec in self._graph.outputs if spec.name == "symbols"]
        if len(inputs) != 1 or symbols != [self.profile.symbols_shape]:
            raise BundleError(f"{bundle.path / cut.transform.edge} is not the graph of its profile: build it again")
        self._input, self._cut = inputs[0], cut

    def run(self, tensor: Array, spec: featcodec.Spec) -> Values:
        step = step_of(spec)
        feeds = {self._input: tensor, "step": np.array(step, np.float32)}
        symbols, finite = self._graph.run(feeds, ["symbols", "finite"])
        if not finite.all():
            raise ImageError(
                f"codec {spec} cannot take the features of cut {self._cut.name}: {self._reason(feeds, step)}"
            )
        return (np.asarray(symbols[0]),)

    def frame(self, values: Values, spec: featcodec.Spec) -> bytes:
        return featcodec.encode_symbols(values[0], spec, profile=self.profile, shape=(1, *self._cut.shape))

    def _reason(self, feeds: dict[str, Array], step: float) -> str:
        # At the coarsest step there is, only NaN and infinity are left.
        finite = self._graph.run({**feeds, "step": _COARSEST}, ["finite"])[0]
        if finite.all():
            return f"a symbol is beyond 32767 at step {step:g}; take a larger step"
        return "they are not finite: the network makes NaN or infinity of this input"


def half_for(bundle: Bundle, cut: Cut, spec: featcodec.Spec, threads: int) -> Half:
    """What `spec` needs; no graph is loaded but that. Raises UsageError, BundleError, ModelError."""
    kind = TransformHalf if isinstance(spec.quantiser, Transform) else PlainHalf
    return kind(bundle, cut, threads)


def step_of(spec: featcodec.Spec) -> float:
    """The step of a transform's spec. Raises UsageError for any other spec."""
    if not isinstance(spec.quantiser, Transform):
        raise UsageError(f"codec {spec} has no step; only a transform has one")
    return spec.quantiser.step


def with_step(spec: featcodec.Spec, step: float) -> featcodec.Spec:
    """The same codec with another step. Raises UsageError for a step out of range, or for a spec without one."""
    step_of(spec)
    try:
        return replace(spec, quantiser=Transform(step=float(step)))
    except featcodec.SpecError as error:
        raise UsageError(f"step {step!r}: {error}") from error
