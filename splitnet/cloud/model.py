"""The cloud half of one bundle, loaded and ready to run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

import featcodec
from splitnet.bundle import Bundle
from splitnet.bundle.manifest import Cut, Task
from splitnet.bundle.profiles import load_profile
from splitnet.bundle.sizes import most_values
from splitnet.cloud.access.caller import EVERYTHING, Permits
from splitnet.errors import BundleError, PermissionDeniedError, UnknownError
from splitnet.runtime import Array, Graph
from splitnet.runtime.backends import Backend, OnnxRuntime
from splitnet.runtime.declared import kind_of, setting_of
from splitnet.tasks import Kind, Result, Setting
from splitnet.wire.exchange import DEFAULT_MAX_FRAME_BYTES


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What a cut with a transform has beside its plain trunk: a profile, and a trunk that begins with the synthesis.

    The weights of the remaining layers are in memory twice, for ONNX Runtime shares none between graphs.
    """

    profile: featcodec.TransformProfile
    trunk: Graph


@dataclass(frozen=True, slots=True)
class Head:
    """A task with its post-processor and its graph; no graph where the trunk computes the output itself."""

    task: Task
    kind: Kind
    setting: Setting
    graph: Graph | None

    @property
    def start(self) -> str:
        """The trunk's output that this task begins with."""
        return self.task.output if self.graph is None else self.task.input

    def result(self, output: Array, top_k: int) -> Result:
        """The output for one input, without batch dimension, as a result."""
        return self.kind.result(output, self.setting, top_k)


class CloudModel:
    """Cloud graphs and decoding limits of every cut, heads of every task; each file verified and loaded once.

    `backend` runs the graphs, ONNX Runtime with `threads` threads by default. `calibrated` holds what belongs to the
    transform, for the cuts that have one; `batches` says whether the graphs take more than one input at a time.

    Raises
    ------
    BundleError
        if a file is missing or altered, or a profile does not fit.
    ModelError
        if a graph cannot be loaded.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int = 1,
        max_frame_bytes: int = DEFAULT_MAX_FRAME_BYTES,
        backend: Backend | None = None,
    ) -> None:
        manifest = bundle.manifest
        engine = backend or OnnxRuntime(threads)

        def load(path: str) -> Graph:
            # From the very bytes whose SHA-256 was checked.
            return engine.load(bundle.open_bytes(path), path)

        self.bundle = bundle
        self.cuts: dict[str, Cut] = {cut.name: cut for cut in manifest.built_cuts}
        self.limits = {
            name: featcodec.Limits(
                frame_bytes=max_frame_bytes,
                elements=max(most_values(one) for one in cut.crossing),
                decoded_bytes=8 * sum(most_values(one) for one in cut.crossing),
                tensors=len(cut.crossing),
            )
            for name, cut in self.cuts.items()
        }
        self._trunks: dict[str, Graph] = {
            cut.name: load(cut.cloud) for cut in manifest.built_cuts if cut.cloud is not None
        }
        self.calibrated = {cut.name: _calibrated(bundle, cut, load) for cut in manifest.calibrated_cuts}
        self.heads: dict[str, Head] = {
            task.name: Head(
                task,
                kind_of(bundle, task),
                setting_of(bundle, task),
                load(task.head) if task.head is not None else None,
            )
            for task in manifest.tasks
        }
        self._check_branches()
        self.batches = all(graph.inputs[0].shape[0] is None for graph in self._trunks.values())

    def warm_up(self, batch: int = 1) -> None:
        """Run every graph on zeros, so that the first request waits for nothing. Raises ModelError.

        With `batch`, the largest that will be asked for, memory is what it is going to be: ONNX Runtime keeps what a
        batch took.
        """
        # Twice, for the second run of a shape plans its memory in one piece.
        for size in (batch, batch, 1) if batch > 1 and self.batches else (1,):
            for name, cut in self.cuts.items():
                shared = self.shared(cut, zeros(cut, size))
                if name in self.calibrated:
                    coefficients = np.zeros((size, *self.calibrated[name].profile.symbols_shape), np.float32)
                    shared = self.shared(cut, coefficients, coefficients=True)
            for head in self.heads.values():
                # The kind says now and not at the first request that it does not take outputs of this shape.
                head.result(np.zeros_like(self.answer(head, shared)[0]), 0)

    def _check_branches(self) -> None:
        for cut, trunk in self._trunks.items():
            if {spec.name for spec in trunk.inputs} != {one.tensor for one in self.cuts[cut].crossing}:
                raise BundleError(
                    f"{self.bundle.path}: the cloud graph of cut {cut} does not take what crosses there; build the "
                    "bundle again"
                )
        trunks = [*self._trunks.items(), *((name, one.trunk) for name, one in self.calibrated.items())]
        for cut, trunk in trunks:
            there = {spec.name for spec in trunk.outputs}
            for head in self.heads.values():
                if head.start not in there:
                    raise BundleError(
                        f"{self.bundle.path}: the cloud graph of cut {cut} does not compute {head.start!r}, which task "
                        f"{head.task.name} begins with; build the bundle again"
                    )

    def cut(self, name: str) -> Cut:
        """Raises UnknownError, listing the cuts served."""
        if name not in self.cuts:
            raise UnknownError(
                f"no cut {shorten(name)} in model {self.bundle.manifest.name}; it has {_names(self.cuts)}"
            )
        return self.cuts[name]

    def wanted(self, tasks: Sequence[str], permits: Permits = EVERYTHING) -> tuple[Head, ...]:
        """The heads of `tasks`, each once; when empty, all that `permits` allow.

        Raises UnknownError, listing the tasks served, or PermissionDeniedError.
        """
        unknown = [task for task in tasks if task not in self.heads]
        if unknown:
            name = self.bundle.manifest.name
            raise UnknownError(f"no task {shorten(unknown[0])} in model {name}; it has {_names(self.heads)}")
        wanted = tuple(dict.fromkeys(tasks)) or tuple(task for task in self.heads if permits.allows_task(task))
        if not wanted:
            raise PermissionDeniedError(f"this client may ask for none of the tasks of {self.bundle.manifest.name}")
        return tuple(self.heads[task] for task in wanted)

    def shared(
        self,
        cut: Cut,
        values: Array | Sequence[Array],
        *,
        coefficients: bool = False,
        heads: Sequence[Head] | None = None,
    ) -> dict[str, Array]:
        """Run the remaining layers once: values (N, *) -> the tensors that `heads` (all, by default) start from.

        The values are features (N, *shape), one array for each tensor of `cut.crossing`, or `coefficients`
        (N, B, P, C) of the cut's transform. Heads may branch at several depths; layers that none of `heads` needs are
        not run.
        """
        several = (values,) if isinstance(values, np.ndarray) else values
        if coefficients:
            trunk = self.calibrated[cut.name].trunk
            feeds = {trunk.inputs[0].name: several[0]}
        else:
            trunk = self._trunks[cut.name]
            feeds = {one.tensor: array for one, array in zip(cut.crossing, several, strict=True)}
        names = list(dict.fromkeys(head.start for head in (self.heads.values() if heads is None else heads)))
        return dict(zip(names, trunk.run(feeds, names), strict=True))

    def answer(self, head: Head, shared: Mapping[str, Array]) -> Array:
        """Run one head on the shared tensors -> its output, batch dimension first."""
        if head.graph is None:
            return shared[head.task.output]
        return head.graph.run({head.graph.inputs[0].name: shared[head.task.input]}, [head.task.output])[0]


def zeros(cut: Cut, batch: int = 1) -> tuple[Array, ...]:
    """Features of the shapes and dtypes that cross at `cut`."""
    return tuple(np.zeros((batch, *one.shape), one.dtype) for one in cut.crossing)


def _calibrated(bundle: Bundle, cut: Cut, load: Callable[[str], Graph]) -> Calibrated:
    profile = load_profile(bundle, cut)
    assert cut.transform is not None
    trunk = load(cut.transform.cloud)
    if [spec.shape[1:] for spec in trunk.inputs] != [profile.symbols_shape]:
        raise BundleError(f"{bundle.path / cut.transform.cloud} is not the graph of its profile: build it again")
    return Calibrated(profile, trunk)


def shorten(name: str) -> str:
    """A name out of a request, quoted, at most about 80 characters: a message must fit into gRPC's metadata."""
    return repr(name if len(name) <= 80 else f"{name[:77]}...")


def _names(known: Mapping[str, object]) -> str:
    return ", ".join(known)
