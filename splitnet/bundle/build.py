"""Make a bundle from a network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from splitnet.bundle.imported import from_networks, is_imported, with_heads
from splitnet.bundle.load import Bundle
from splitnet.bundle.manifest import Crossing, Cut, Manifest, Task
from splitnet.bundle.sizes import multiple_of
from splitnet.bundle.source import LONGEST_NAME, ImportOptions, Source, SourceTask, from_zoo, safe_name, unique
from splitnet.bundle.transform import Calibration, stage_transforms
from splitnet.bundle.write import Staging
from splitnet.errors import UsageError
from splitnet.graph.extras import require
from splitnet.models.zoo import find_network

if TYPE_CHECKING:
    import onnx

    from splitnet.graph.split import Crossing as CrossingTensor
    from splitnet.graph.split import CutPoint, SplitNetwork
    from splitnet.runtime.graph import Array

INPUT_CUT = "input"
"""The cut in front of the first layer, for bundles whose service may also get photos. It is built where it is named,
never as one of all: what crosses there is larger than at any cut worth having."""

Cuts = Sequence[str] | Literal["all", "best"]
"""Names of cuts; or all of them; or the best, which no other cut beats in both bytes and work of the edge, and also
those that come with a profile."""

Progress = Callable[[str, int, int], None]
"""Called with what begins now, how many steps are done, and how many there are; last with "done"."""


def build_bundle(
    network: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    cuts: Cuts = "best",
    options: ImportOptions | None = None,
    arrays: Sequence[Array] = (),
    progress: Progress | None = None,
) -> Bundle:
    """Build the bundle of `network` at `out`, verified, and return it as loaded from there.

    Parameters
    ----------
    network
        Name of a network of the zoo; path of an ``.onnx`` file, or of a ``.pt2`` file that ``torch.export.save`` wrote;
        or ``MODULE:CALLABLE``, a torch module in a Python file or package. Several that are no names of the zoo and
        begin with the same layers become one network, which runs those once.
    out
        Directory to write; a bundle that is already there is replaced.
    cuts
        Names of the cuts to build graphs for, or ``"all"``, or ``"best"``: see `Cuts`. The manifest lists every
        possible cut either way.
    options
        What an imported network does not say about itself; a network of the zoo takes only the heads.
    arrays
        More inputs to verify with, (N, 3, height, width) or (N, *shape), float32, normalised.

    Cuts for which the network comes with a calibrated profile get their transform too.

    The same network, cuts and versions of torch and ONNX give the same fingerprint.

    Raises
    ------
    UsageError
        for an unknown network or cut, a missing extra, or a place that holds something else.
    ModelError
        if the network cannot be read, exported or split.
    VerificationError
        if split and whole disagree by more than 1e-4: names cut and tensor. Nothing is written.
    OutputError
        if the bundle cannot be written. Nothing is left behind.
    """
    steps = _Steps(progress, 1 if isinstance(cuts, str) else len(cuts))
    with Staging(Path(out)) as staging:
        steps.begin("reading the network")
        source = _source(network, options, cuts)
        from splitnet.graph.split import split_network

        steps.begin("looking for cuts")
        outputs = list(dict.fromkeys(task.output for task in source.tasks))
        split = split_network(source.model, outputs, source.candidates, multiple_of(source.input))
        points, names = split.cuts, unique([_cut_name(point) for point in split.cuts])
        if INPUT_CUT in cuts and INPUT_CUT not in names:
            points, names = (split.input_cut, *points), (INPUT_CUT, *names)
        chosen = _choose(cuts, names, _best(points, names, source))
        shipped = [Calibration(cut, one.profile, one.curve) for cut, one in source.profiles.items() if cut in chosen]
        steps.begin("splitting", len(chosen) + bool(shipped))
        whole = _add(staging, "whole.onnx", split.whole)
        tasks = tuple(_task(staging, split, task) for task in source.tasks)
        listed = tuple(
            _cut(staging, split, name, point, name in chosen) for name, point in zip(names, points, strict=True)
        )
        _verify(staging.path, whole, source, tasks, listed, arrays, steps)
        manifest = Manifest(
            name=source.name,
            version=source.version,
            source=source.origin,
            input=source.input,
            whole=whole,
            cuts=listed,
            tasks=tasks,
            files=staging.files,
        )
        if shipped:
            steps.begin("adding transforms")
            listed = stage_transforms(staging, manifest, shipped, arrays)
            manifest = manifest.model_copy(update={"cuts": listed, "files": staging.files})
        steps.begin("writing")
        staging.publish(manifest)
    steps.begin("done")
    return Bundle.load(out)


class _Steps:
    """Counts what is done: reading, looking for cuts, splitting, a verification a cut, perhaps transforms, writing."""

    def __init__(self, progress: Progress | None, cuts: int) -> None:
        self._progress, self._cuts, self._done = progress, cuts, -1

    def begin(self, what: str, cuts: int | None = None) -> None:
        self._done += 1
        self._cuts = self._cuts if cuts is None else cuts
        if self._progress is not None:
            self._progress(what, self._done, 4 + self._cuts)


def _source(network: str | Path | Sequence[str | Path], options: ImportOptions | None, cuts: Cuts) -> Source:
    networks = [network] if isinstance(network, str | Path) else list(network)
    options = options or ImportOptions()
    named = [str(one) for one in networks if not is_imported(one)]
    if not named and networks:
        return with_heads(from_networks(networks, options), options.heads)
    if len(networks) != 1:
        raise UsageError(f"networks that become one are files or MODULE:CALLABLE; got {', '.join(map(str, networks))}")
    # A misspelt name or cut should not cost an export first.
    _choose(cuts, (INPUT_CUT, *find_network(named[0]).cuts))
    if replace(options, heads=()) != ImportOptions():
        raise UsageError(
            f"size, any_size, layout, mean, std, shape and tasks are for imported networks; {named[0]!r} knows its own"
        )
    require("torch", "onnx", "onnxscript", "onnxruntime")
    return with_heads(from_zoo(named[0]), options.heads)


def _best(points: Sequence[CutPoint], names: Sequence[str], source: Source) -> tuple[str, ...]:
    from splitnet.plan.pareto import Cost, dominators

    costs = [
        Cost(name, sum(one.nbytes for one in point.crossing), point.macs_before)
        for name, point in zip(names, points, strict=True)
    ]
    # The input as floats is smaller than many features, but it is sent as an image file, if at all.
    beaten = dominators([cost for cost in costs if cost.name != INPUT_CUT])
    return tuple(name for name in names if name not in beaten or name in source.profiles)


def _choose(cuts: Cuts, names: tuple[str, ...], best: tuple[str, ...] = ()) -> frozenset[str]:
    """The names that `cuts` says; words for several of them may stand beside others."""
    words = {"all": names, "best": best}
    wanted = [name for word in ([cuts] if isinstance(cuts, str) else cuts) for name in words.get(word, (word,))]
    if not wanted and "best" in cuts:
        return frozenset()
    known = ", ".join(names if INPUT_CUT in names else (INPUT_CUT, *names))
    if not wanted:
        raise UsageError(f"name at least one cut: {known}")
    for name in wanted:
        if name not in names:
            raise UsageError(f"the network has no cut {name!r}; it has: {known}")
    return frozenset(wanted)


def _add(staging: Staging, path: str, graph: onnx.ModelProto) -> str:
    from splitnet.graph.extract import serialise

    return staging.add(path, serialise(graph))


def _task(staging: Staging, split: SplitNetwork, task: SourceTask) -> Task:
    name, shape = task.name, split.types[task.output].shape[1:]
    if split.free.get(task.output) and task.kind in ("classification", "embedding", "score"):
        raise UsageError(
            f"task {name!r}: {task.output!r} changes with the image's size, which a {task.kind} cannot; choose the kind"
            " tensor, or build it without --any-size"
        )
    if task.kind in ("classification", "embedding") and len(shape) != 1:
        raise UsageError(f"task {name!r}: a {task.kind} needs one row of values, {task.output!r} has {shape}")
    if task.kind == "classification" and task.labels and shape != (len(task.labels),):
        raise UsageError(f"task {name!r} has {len(task.labels)} labels for an output of shape {shape}")
    head = split.head(task.output)
    lines = "".join(f"{label}\n" for label in task.labels)
    return Task(
        name=name,
        kind=task.kind,
        input=split.shared or task.output,
        output=task.output,
        head=None if head is None else _add(staging, f"heads/{name}.onnx", head),
        labels=staging.add(f"labels/{name}.txt", lines.encode()) if lines else None,
        parameters=dict(task.parameters),
    )


def _cut(staging: Staging, split: SplitNetwork, name: str, point: CutPoint, built: bool) -> Cut:
    return Cut(
        name=name,
        tensor=point.tensor,
        shape=point.shape,
        dtype=_dtype(point),
        macs_before=point.macs_before,
        macs_after=point.macs_after,
        edge=_add(staging, f"cuts/{name}.edge.onnx", split.edge(point)) if built else None,
        cloud=_add(staging, f"cuts/{name}.cloud.onnx", split.cloud(point)) if built else None,
        more=tuple(
            Crossing(tensor=one.tensor, shape=one.shape, dtype=_dtype(one), free=one.free) for one in point.more
        ),
        free=point.free,
    )


def _cut_name(point: CutPoint) -> str:
    """A cut is called as its tensor; of several, as the one computed last and how many more there are."""
    behind = f"-and-{len(point.more)}" if point.more else ""
    return safe_name(point.tensor)[: LONGEST_NAME - len(behind)] + behind


def _dtype(one: CrossingTensor) -> Literal["float32", "float16"]:
    return "float16" if one.dtype == "float16" else "float32"


def _verify(
    path: Path,
    whole: str,
    source: Source,
    tasks: tuple[Task, ...],
    cuts: Sequence[Cut],
    arrays: Sequence[Array],
    steps: _Steps,
) -> None:
    from splitnet.bundle.verify import Verifier

    verifier = Verifier(path, whole, source.input, tasks, arrays)
    for cut in cuts:
        if cut.edge is not None:
            steps.begin(f"verifying {cut.name}")
            verifier.check(cut)
