"""`splitnet build`: a network becomes a bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from splitnet.cli.sizes import parse_size
from splitnet.errors import UsageError

if TYPE_CHECKING:
    from splitnet.bundle import Bundle
    from splitnet.bundle.source import ImportOptions, SourceHead, SourceTask


def build(
    network: Annotated[
        list[str],
        typer.Argument(
            help="A network of the zoo (efficientnet-lite0, ...), an .onnx or .pt2 file, or a torch module, as in"
            " mynet.py:make; several that begin with the same layers become one with several heads."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Directory to write; a bundle that is there is replaced.")],
    cuts: Annotated[
        str,
        typer.Option(
            help="Where to split: names with commas between them; all; or best, where no other cut has both fewer bytes"
            " and less work on the device."
        ),
    ] = "best",
    size: Annotated[str | None, typer.Option(help="Input size HEIGHTxWIDTH where the file leaves it free.")] = None,
    any_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Keep the size free in steps of this many pixels; --size is then only the nominal one.",
        ),
    ] = None,
    layout: Annotated[
        Literal["nchw", "nhwc"], typer.Option(help="Order of the network's input: channels in front, or last.")
    ] = "nchw",
    mean: Annotated[str, typer.Option(help="Pixel mean, one value or R,G,B, of 0 to 255.")] = "0",
    std: Annotated[str, typer.Option(help="What pixels are divided by, one value or R,G,B.")] = "255",
    resize_short: Annotated[
        int | None, typer.Option(min=1, max=8192, help="Short side before the crop, in pixels; the crop's own.")
    ] = None,
    shape: Annotated[
        str | None, typer.Option(help="Shape of an input that is no image, without the batch, such as 1x40x101.")
    ] = None,
    task: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=KIND:OUTPUT; kinds: classification, embedding, tensor, score, detection. Default: a tensor each."
        ),
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Labels of the classification task, one a line.")] = None,
    head: Annotated[
        list[str] | None,
        typer.Option(help="NAME=FILE.onnx@TENSOR[:KIND]: one more task, from a tensor or cut of the network on."),
    ] = None,
    edge_precision: Annotated[
        Literal["float32", "int8", "float16"], typer.Option(help="What the edge graphs compute in; int8 needs --data.")
    ] = "float32",
    data: Annotated[Path | None, typer.Option(help="Folder of photos (or .npy files), for --edge-precision.")] = None,
) -> None:
    """Split a network at the given cuts, check split against whole, and write the bundle.

    --size, --any-size, --layout, --mean, --std, --resize-short, --shape, --task and --labels describe an imported
    network; a network of the zoo knows its own. MODULE:CALLABLE and .pt2 files run code: only name what you trust.
    """
    from splitnet.bundle.build import build_bundle
    from splitnet.cli.build_precision import build_in
    from splitnet.cli.progress import Report

    if data is not None and edge_precision == "float32":
        raise UsageError("--data is for --edge-precision int8 or float16; a float32 bundle needs no photos")
    names = [name.strip() for name in cuts.split(",") if name.strip()]
    options = _options(size, mean, std, resize_short, task or [], labels)
    known = None if shape is None else _shape(shape)
    heads = tuple(_head(text) for text in head or [])
    options = replace(options, layout=layout, shape=known, heads=heads, any_size=any_size)
    with Report() as report:

        def make(place: Path) -> Bundle:
            return build_bundle(network, place, cuts=names, options=options, progress=report)

        bundle = make(out) if edge_precision == "float32" else build_in(edge_precision, data, out, make, report)
    _show(bundle)


def _show(bundle: Bundle) -> None:
    manifest = bundle.manifest
    total = sum(file.size for file in manifest.files)
    typer.echo(f"wrote {bundle.path}: {len(manifest.files)} files, {total / 1e6:.1f} MB")
    built = [cut.name for cut in manifest.built_cuts]
    names = ", ".join(built) if len(built) <= 20 else f"{built[0]} to {built[-1]}"
    typer.echo(f"{len(built)} of {len(manifest.cuts)} possible cuts: {names}")
    typer.echo(f"tasks {', '.join(task.name for task in manifest.tasks)}")
    typer.echo(f"fingerprint {bundle.fingerprint}")


def _options(
    size: str | None, mean: str, std: str, resize_short: int | None, tasks: list[str], labels: Path | None
) -> ImportOptions:
    from splitnet.bundle.source import ImportOptions

    lines = _lines(labels) if labels is not None else ()
    chosen = tuple(_task(text, lines) for text in tasks)
    if lines and not any(task.labels for task in chosen):
        raise UsageError("--labels needs a task that it describes: --task NAME=classification:OUTPUT")
    return ImportOptions(
        size=None if size is None else parse_size(size),
        mean=_numbers("--mean", mean),
        std=_numbers("--std", std),
        resize_short=resize_short,
        tasks=chosen,
    )


def _shape(text: str) -> tuple[int, ...]:
    parts = text.lower().split("x")
    # Of 10 digits at most: Python refuses to read endless numbers.
    if not all(part.isascii() and part.isdecimal() and len(part) < 11 and int(part) > 0 for part in parts):
        raise UsageError(f"--shape {text[:80]!r} is no shape: give its sides without the batch, for example 1x40x101")
    return tuple(int(part) for part in parts)


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{option} {text!r} is not a number, nor three with commas between them") from None


def _task(text: str, labels: tuple[str, ...]) -> SourceTask:
    from splitnet.bundle.source import SourceTask, safe_name

    name, equals, rest = text.partition("=")
    kind, colon, output = rest.partition(":")
    if not (equals and colon and output) or safe_name(name) != name:
        raise UsageError(f"--task {text!r} is not NAME=KIND:OUTPUT, for example words=classification:logits")
    return SourceTask(name, kind, output, labels if kind in ("classification", "detection") else ())


def _head(text: str) -> SourceHead:
    from splitnet.bundle.source import SourceHead, safe_name
    from splitnet.tasks.kinds import kind_names

    name, _, rest = text.partition("=")
    file, _, place = rest.rpartition("@")
    tensor, _, kind = place.rpartition(":")
    # A tensor's own name may have a colon in it.
    if not tensor or kind not in kind_names():
        tensor, kind = place, "tensor"
    if not (name and file and tensor) or safe_name(name) != name:
        raise UsageError(f"--head {text!r} is not NAME=FILE.onnx@TENSOR[:KIND], for example age=age.onnx@pool:score")
    return SourceHead(name, Path(file), tensor, kind)


def _lines(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the labels {path}: {error}") from error
    if not lines:
        raise UsageError(f"the labels {path} are empty")
    return tuple(lines)
