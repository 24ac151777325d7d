"""Make a bundle from a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from splitnet.bundle.load import Bundle
from splitnet.bundle.manifest import Cut, Manifest, Task
from splitnet.bundle.source import ImportOptions, Source, from_file, from_zoo, safe_name, unique
from splitnet.bundle.write import check_target, describe, write_bundle
from splitnet.errors import UsageError
from splitnet.graph.extras import require

if TYPE_CHECKING:
    from splitnet.graph.split import CutPoint, SplitNetwork
    from splitnet.runtime.graph import Array

Progress = Callable[[str, int, int], None]
"""Called with what begins now, how many steps are done, and how many there are; last with "done"."""

WHOLE = "whole.onnx"


def build_bundle(
    network: str | Path,
    out: str | Path,
    *,
    cuts: Sequence[str] | Literal["all"],
    options: ImportOptions | None = None,
    arrays: Sequence[Array] = (),
    progress: Progress | None = None,
) -> Bundle:
    """Build the bundle of `network` at `out`, verified, and return it as loaded from there.

    Parameters
    ----------
    network
        Name of a network of the zoo, or path of an ``.onnx`` file.
    out
        Directory to write; a bundle that is already there is replaced.
    cuts
        Names of the cuts to build graphs for, or ``"all"``. The manifest lists every possible cut either way.
    options
        What an ``.onnx`` file does not say about itself; not for networks of the zoo.
    arrays
        More inputs to verify with, (N, 3, height, width), float32, normalised.

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
    steps = _Steps(progress, 1 if cuts == "all" else len(cuts))
    # Before minutes of work are spent.
    check_target(Path(out).resolve())
    steps.begin("reading the network")
    source = _source(network, options)
    from splitnet.graph.split import split_network

    steps.begin("looking for cuts")
    split = split_network(source.model, list(dict.fromkeys(task.output for task in source.tasks)), source.candidates)
    names = unique([safe_name(point.tensor) for point in split.cuts])
    chosen = _choose(cuts, names)
    contents = _common(source, split)
    tasks = tuple(_task(split, task.name, task.kind, task.output, contents) for task in source.tasks)
    steps.begin("splitting", len(chosen))
    listed = tuple(
        _cut(split, name, point, name in chosen, contents) for name, point in zip(names, split.cuts, strict=True)
    )
    _verify(contents, source, tasks, listed, arrays, steps)
    manifest = Manifest(
        name=source.name,
        version=source.version,
        source=source.origin,
        input=source.input,
        whole=WHOLE,
        cuts=listed,
        tasks=tasks,
        files=describe(contents),
    )
    steps.begin("writing")
    bundle = write_bundle(Path(out), manifest, contents)
    steps.begin("done")
    return bundle


class _Steps:
    """Counts what is done: reading, looking for cuts, splitting, one verification a cut, writing."""

    def __init__(self, progress: Progress | None, cuts: int) -> None:
        self._progress, self._cuts, self._done = progress, cuts, -1

    def begin(self, what: str, cuts: int | None = None) -> None:
        self._done += 1
        self._cuts = self._cuts if cuts is None else cuts
        if self._progress is not None:
            self._progress(what, self._done, 4 + self._cuts)


def _source(network: str | Path, options: ImportOptions | None) -> Source:
    path = Path(network)
    if isinstance(network, Path) or path.suffix.lower() == ".onnx" or path.is_file():
        require("onnx", "onnxruntime")
        return from_file(path, options or ImportOptions())
    if options is not None and options != ImportOptions():
        raise UsageError(f"size, mean, std and tasks are for .onnx files; {network!r} knows its own")
    require("torch", "onnx", "onnxscript", "onnxruntime")
    return from_zoo(str(network))


def _choose(cuts: Sequence[str] | Literal["all"], names: tuple[str, ...]) -> frozenset[str]:
    wanted = names if cuts == "all" or list(cuts) == ["all"] else tuple(cuts)
    if not wanted:
        raise UsageError(f"name at least one cut: {', '.join(names)}")
    for name in wanted:
        if name not in names:
            raise UsageError(f"the network has no cut {name!r}; it has: {', '.join(names)}")
    return frozenset(wanted)


def _common(source: Source, split: SplitNetwork) -> dict[str, bytes]:
    from splitnet.graph.extract import serialise

    contents = {WHOLE: serialise(split.whole)}
    for task in source.tasks:
        if task.labels:
            values = split.types[task.output].shape[1:]
            if values != (len(task.labels),):
                raise UsageError(f"task {task.name!r} has {len(task.labels)} labels for an output of shape {values}")
            contents[f"labels/{task.name}.txt"] = "".join(f"{label}\n" for label in task.labels).encode()
    return contents


def _task(split: SplitNetwork, name: str, kind: str, output: str, contents: dict[str, bytes]) -> Task:
    from splitnet.graph.extract import serialise

    shape = split.types[output].shape[1:]
    if kind in ("classification", "embedding") and len(shape) != 1:
        raise UsageError(f"task {name!r}: a {kind} needs one row of values, {output!r} has shape {shape}")
    graph = split.head(output)
    head = None if graph is None else f"heads/{name}.onnx"
    if graph is not None and head is not None:
        contents[head] = serialise(graph)
    labels = f"labels/{name}.txt"
    return Task(
        name=name,
        kind=kind,
        input=split.shared,
        output=output,
        head=head,
        labels=labels if labels in contents else None,
    )


def _cut(split: SplitNetwork, name: str, point: CutPoint, built: bool, contents: dict[str, bytes]) -> Cut:
    from splitnet.graph.extract import serialise

    edge, cloud = f"cuts/{name}.edge.onnx", f"cuts/{name}.cloud.onnx"
    if built:
        contents[edge], contents[cloud] = serialise(split.edge(point)), serialise(split.cloud(point))
    return Cut(
        name=name,
        tensor=point.tensor,
        shape=point.shape,
        dtype="float16" if point.dtype == "float16" else "float32",
        macs_before=point.macs_before,
        macs_after=point.macs_after,
        edge=edge if built else None,
        cloud=cloud if built else None,
    )


def _verify(
    contents: Mapping[str, bytes],
    source: Source,
    tasks: tuple[Task, ...],
    cuts: Sequence[Cut],
    arrays: Sequence[Array],
    steps: _Steps,
) -> None:
    from splitnet.bundle.verify import Verifier

    verifier = Verifier(contents, WHOLE, source.input, tasks, arrays)
    for cut in cuts:
        if cut.edge is not None:
            steps.begin(f"verifying {cut.name}")
            verifier.check(cut)
