"""What a bundle is made from: a network of the zoo, or an ``.onnx`` file with what a person says about it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from splitnet.bundle.manifest import ImageInput
from splitnet.errors import ModelError, UsageError
from splitnet.models.shipped import ShippedProfile, shipped_profiles
from splitnet.models.zoo import find_network, read_labels
from splitnet.tasks import make_kind

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class SourceTask:
    """A task: name, kind (see `splitnet.tasks`) and its parameters, the network's output, labels for its values."""

    name: str
    kind: str
    output: str
    labels: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class ImportOptions:
    """What an ``.onnx`` file does not say about itself.

    Attributes
    ----------
    size
        Height and width in pixels, where the graph leaves them free.
    mean, std
        Per channel (or one value for all), in units of 8-bit pixels: the input is (x - mean) / std. The
        defaults give values from 0 to 1.
    resize_short
        Short side in pixels before the centre crop; the crop's own short side when None.
    tasks
        Tasks that replace the default for their output: kind ``tensor``, named for the output.
    """

    size: tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (255.0,)
    resize_short: int | None = None
    tasks: tuple[SourceTask, ...] = ()


@dataclass(frozen=True)
class Source:
    """A network ready to be split; `candidates` are the tensors that may become cuts, or None for all.

    `profiles` are the calibrated profiles that come with the network, by cut.
    """

    name: str
    version: str
    origin: str
    model: onnx.ModelProto
    input: ImageInput
    tasks: tuple[SourceTask, ...]
    candidates: tuple[str, ...] | None
    profiles: Mapping[str, ShippedProfile] = field(default_factory=dict)


def from_zoo(name: str) -> Source:
    """Export a network of the zoo. Raises UsageError for an unknown name, ModelError as the export does."""
    network = find_network(name)
    from splitnet.graph.export import export

    outputs = [task.output for task in network.tasks]
    model = export(
        network.build(),
        network.input.shape,
        input_name=network.input.tensor,
        inner=network.cuts,
        outputs=outputs,
    )
    return Source(
        name=network.name,
        version=network.version,
        origin=f"{network.weights.project} sha256:{network.weights.sha256}",
        model=model,
        input=network.input,
        tasks=tuple(
            SourceTask(task.name, task.kind, task.output, read_labels(task.labels) if task.labels else ())
            for task in network.tasks
        ),
        candidates=network.cuts,
        profiles=shipped_profiles(name),
    )


def from_file(path: Path, options: ImportOptions) -> Source:
    """Read an ``.onnx`` file. Raises ModelError and UsageError as `splitnet.graph.load.load_onnx` does."""
    from splitnet.graph.load import load_onnx
    from splitnet.graph.tensors import inputs

    model = load_onnx(path, options.size)
    (value,) = inputs(model.graph)
    height, width = (dim.dim_value for dim in value.type.tensor_type.shape.dim[2:])
    try:
        image = ImageInput(
            tensor=value.name,
            height=height,
            width=width,
            resize_short=options.resize_short or min(height, width),
            mean=_three(options.mean, "mean"),
            std=_three(options.std, "std"),
        )
    except ValueError as error:
        raise UsageError(f"{path.name}: {_first_message(error)}") from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return Source(
        name=safe_name(path.stem),
        version=digest[:12],
        origin=f"{path.name} sha256:{digest}",
        model=model,
        input=image,
        tasks=_tasks([output.name for output in model.graph.output], options.tasks),
        candidates=None,
    )


def safe_name(text: str) -> str:
    """`text` in the characters that names in a manifest may have."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).lstrip("._-")[:100] or "x"


def unique(names: Sequence[str]) -> tuple[str, ...]:
    """`names` made distinct, whatever their case (they become file names), by a number behind the later
    ones.
    """
    taken: set[str] = set()
    result = []
    for name in names:
        candidate, number = name, 1
        while candidate.lower() in taken:
            number += 1
            candidate = f"{name[:95]}.{number}"
        taken.add(candidate.lower())
        result.append(candidate)
    return tuple(result)


def _three(values: tuple[float, ...], what: str) -> tuple[float, float, float]:
    if len(values) == 1:
        return (values[0],) * 3
    if len(values) != 3:
        raise UsageError(f"--{what} takes one value or three, one a channel; got {len(values)}")
    return (values[0], values[1], values[2])


def _tasks(outputs: Sequence[str], chosen: Sequence[SourceTask]) -> tuple[SourceTask, ...]:
    for task in chosen:
        try:
            make_kind(task.kind, task.parameters)
        except ModelError as error:
            raise UsageError(f"task {task.name!r}: {error}") from error
        if task.output not in outputs:
            raise UsageError(f"task {task.name!r}: no output {task.output!r}; the network has: {', '.join(outputs)}")
    replaced = {task.output for task in chosen}
    names = [task.name for task in chosen]
    rest = [output for output in outputs if output not in replaced]
    defaults = unique([*names, *(safe_name(output) for output in rest)])[len(names) :]
    return (
        *chosen,
        *(SourceTask(name, "tensor", output) for name, output in zip(defaults, rest, strict=True)),
    )


def _first_message(error: ValueError) -> str:
    lines = str(error).splitlines()
    return " ".join(line.strip() for line in lines[1:3]) if len(lines) > 1 else str(error)
