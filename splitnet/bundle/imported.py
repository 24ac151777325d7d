"""Networks of one's own: ``.onnx`` files, torch modules, saved programs; several that share a trunk; more heads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from splitnet.bundle.manifest import MOST_MULTIPLE, ImageInput, Input, TensorInput
from splitnet.bundle.source import ImportOptions, Source, SourceHead, SourceTask, safe_name, unique
from splitnet.errors import ModelError, UsageError
from splitnet.graph.extras import require
from splitnet.tasks import make_kind

if TYPE_CHECKING:
    import onnx

    from splitnet.graph.program import FreeSides

_WEIGHTS = (".pt", ".pth", ".ckpt", ".safetensors")


@dataclass(frozen=True)
class _Imported:
    """A network with a fixed input; `origin` says what it was read from, without folders."""

    name: str
    origin: str
    sha256: str
    model: onnx.ModelProto


def is_imported(network: str | Path) -> bool:
    """Whether `network` is not meant as a name of the zoo: it is a file, looks like one, or is MODULE:CALLABLE."""
    suffix = Path(network).suffix.lower()
    return (
        isinstance(network, Path) or suffix in (".onnx", ".pt2", *_WEIGHTS) or ":" in network or Path(network).is_file()
    )


def from_networks(networks: Sequence[str | Path], options: ImportOptions) -> Source:
    """Read a network, or several that begin with the same layers and become one.

    Each is an ``.onnx`` file, a ``.pt2`` file, or ``MODULE:CALLABLE``. The two last run code, or may do so.

    Raises
    ------
    ModelError, UsageError
        as `splitnet.graph.load`, `splitnet.graph.modules`, `splitnet.graph.program`, `splitnet.graph.inputs`,
        `splitnet.graph.image` and `splitnet.graph.merge` do, and for options that do not fit.
    """
    if options.shape is not None and options.about_images:
        said = ", ".join(f"--{name.replace('_', '-')}" for name in options.about_images)
        raise UsageError(f"--shape is of an input that is no image, {said} of one that is: leave one out")
    _check_any_size(options)
    read = [_read(network, options) for network in networks]
    model = read[0].model
    if len(read) > 1:
        from splitnet.graph.merge import merge

        labels = unique([one.name for one in read])
        model = merge({label: one.model for label, one in zip(labels, read, strict=True)})
    digest = read[0].sha256 if len(read) == 1 else _digest([one.sha256 for one in read])
    spec = _input(model, options, read[0].origin)
    tasks = _tasks([output.name for output in model.graph.output], options.tasks)
    for task in tasks:
        _check_kind(task, spec)
    return Source(
        name=safe_name("-".join(one.name for one in read)),
        version=digest[:12],
        origin=", ".join(one.origin for one in read),
        model=model,
        input=spec,
        tasks=tasks,
        candidates=None,
    )


def with_heads(source: Source, heads: Sequence[SourceHead]) -> Source:
    """`source` with more tasks, whose heads go on from its tensors; name and SHA-256 of their files become part of its
    origin and version. Raises UsageError and ModelError as `splitnet.graph.heads.attach` and `read_onnx` do.
    """
    if not heads:
        return source
    require("onnx", "onnxruntime")
    from splitnet.graph.heads import attach
    from splitnet.graph.load import read_onnx

    digests, origins, tasks = [], [source.origin], list(source.tasks)
    for head in heads:
        if head.name in {task.name for task in tasks}:
            raise UsageError(f"head {head.name!r}: the network has a task of that name already; choose another")
        task = SourceTask(head.name, head.kind, head.name)
        _check_kind(task, source.input)
        file = read_onnx(head.path)
        attach(source.model, file.model, _tensor(source.model, head.tensor), head.name, head.path.name)
        tasks.append(task)
        digests.append(file.sha256)
        origins.append(f"{head.path.name} at {head.tensor} sha256:{file.sha256}")
    version = f"{source.version}-{_digest(digests)[:12]}"
    # Shipped profiles are measured for the shipped tasks, and for that version.
    return replace(source, version=version, origin=", ".join(origins), tasks=tuple(tasks), profiles={})


def _read(network: str | Path, options: ImportOptions) -> _Imported:
    path = Path(network)
    if path.suffix.lower() == ".onnx" or (path.is_file() and path.suffix.lower() not in (".pt2", ".py", *_WEIGHTS)):
        require("onnx", "onnxruntime")
        from splitnet.graph.load import read_onnx

        file = read_onnx(path)
        return _fixed(_Imported(safe_name(path.stem), path.name, file.sha256, file.model), str(path), options)
    if path.suffix.lower() in _WEIGHTS:
        raise UsageError(
            f"{path} holds weights or pickled code, not a network: name what builds it (mynet.py:make), or save it with"
            " torch.export.save as .pt2"
        )
    if path.suffix.lower() == ".py":
        raise UsageError(f"{path}: say what in the file is the network, for example {path}:make")
    require("torch", "onnx", "onnxscript", "onnxruntime")
    from splitnet.graph.extract import serialise
    from splitnet.graph.program import INPUT, NO_IMAGE, export_module, export_program

    if path.suffix.lower() == ".pt2":
        name, model = path.stem, export_program(path)
        origin = path.name
    else:
        from splitnet.graph.modules import load_module, short_name

        module = load_module(str(network))
        name = origin = short_name(str(network))
        shape = _module_shape(options, str(network))
        kind = INPUT if options.shape is None else NO_IMAGE
        model = export_module(module, shape, str(network), kind, _free_sides(options))
    digest = hashlib.sha256(serialise(model)).hexdigest()
    return _fixed(_Imported(safe_name(name), origin, digest, model), str(network), options)


def _fixed(read: _Imported, label: str, options: ImportOptions) -> _Imported:
    from splitnet.graph.image import fix_image_input
    from splitnet.graph.inputs import fix_tensor_input, single_input

    if _is_image(single_input(read.model, label), options):
        any_size = options.any_size is not None
        model = fix_image_input(read.model, label, options.size, options.layout, any_size=any_size)
    else:
        model = fix_tensor_input(read.model, label, options.shape)
    return replace(read, model=model, origin=f"{read.origin} sha256:{read.sha256}")


def _check_any_size(options: ImportOptions) -> None:
    multiple, size = options.any_size, options.size
    if multiple is None:
        return
    if not 1 <= multiple <= MOST_MULTIPLE:
        raise UsageError(f"--any-size {multiple} is not a number of pixels from 1 to {MOST_MULTIPLE}")
    if size is not None and (size[0] % multiple or size[1] % multiple):
        raise UsageError(f"--size {size[0]}x{size[1]} is no size in steps of --any-size {multiple}")


def _free_sides(options: ImportOptions) -> FreeSides | None:
    if options.any_size is None:
        return None
    from splitnet.graph.program import FreeSides

    return FreeSides((1, 2) if options.layout == "nchw" else (0, 1), options.any_size)


def _is_image(value: onnx.ValueInfoProto, options: ImportOptions) -> bool:
    from splitnet.graph.inputs import looks_like_image

    return options.shape is None and (bool(options.about_images) or looks_like_image(value))


def _module_shape(options: ImportOptions, label: str) -> tuple[int, ...]:
    """Of a module's input, without the batch."""
    if options.shape is not None:
        return options.shape
    if options.size is None:
        raise UsageError(
            f"{label} does not say how large its input is: say it with --size HEIGHTxWIDTH, or with --shape if it is no"
            " image"
        )
    return (3, *options.size) if options.layout == "nchw" else (*options.size, 3)


def _input(model: onnx.ModelProto, options: ImportOptions, label: str) -> Input:
    from splitnet.graph.inputs import dims_of
    from splitnet.graph.tensors import inputs

    (value,) = inputs(model.graph)
    shape = tuple(dim.dim_value for dim in dims_of(value)[1:])
    if not _is_image(value, options):
        if min(shape, default=1) < 1:
            raise UsageError(f"{label.partition(' ')[0]}: an input of shape {shape} has no values")
        return TensorInput(tensor=value.name, shape=shape)
    _, height, width = shape
    try:
        return ImageInput(
            tensor=value.name,
            height=height,
            width=width,
            resize_short=options.resize_short or min(height, width),
            mean=_three(options.mean, "mean"),
            std=_three(options.std, "std"),
            multiple=options.any_size or 0,
        )
    except ValueError as error:
        raise UsageError(f"{label.partition(' ')[0]}: {_first_message(error)}") from error


def _three(values: tuple[float, ...], what: str) -> tuple[float, float, float]:
    if len(values) == 1:
        return (values[0],) * 3
    if len(values) != 3:
        raise UsageError(f"--{what} takes one value or three, one a channel; got {len(values)}")
    return (values[0], values[1], values[2])


def _tasks(outputs: Sequence[str], chosen: Sequence[SourceTask]) -> tuple[SourceTask, ...]:
    for task in chosen:
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


def _check_kind(task: SourceTask, spec: Input) -> None:
    try:
        kind = make_kind(task.kind, task.parameters)
    except ModelError as error:
        raise UsageError(f"task {task.name!r}: {error}") from error
    if kind.needs_image and isinstance(spec, TensorInput):
        raise UsageError(
            f"task {task.name!r}: the kind {task.kind} is for images, and the network takes float32 {spec.shape};"
            " choose another kind, tensor for example"
        )
    if kind.needs_image and isinstance(spec, ImageInput) and spec.multiple:
        raise UsageError(
            f"task {task.name!r}: the kind {task.kind} needs an image of one size; choose another kind, tensor"
            " for example, or build it without --any-size"
        )


def _tensor(model: onnx.ModelProto, name: str) -> str:
    """The tensor that is called `name`, or whose cut is."""
    computed = [output for node in model.graph.node for output in node.output if output]
    return name if name in computed else next((one for one in computed if safe_name(one) == name), name)


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _first_message(error: ValueError) -> str:
    lines = str(error).splitlines()
    return " ".join(line.strip() for line in lines[1:3]) if len(lines) > 1 else str(error)
