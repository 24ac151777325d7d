"""Weights that lie in other files beside an ``.onnx`` file.

What the file says about them is a stranger's claim: no path leaves the model's folder, by name or by link, and
nothing is read before everything that is asked for is known to be there.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from onnx import TensorProto

from splitnet.errors import ModelError
from splitnet.graph.stored import claimed_bytes, shown


@dataclass(frozen=True)
class _Span:
    """Where one tensor's bytes lie."""

    tensor: TensorProto
    location: str
    offset: int
    length: int


def load_external(tensors: Iterable[TensorProto], folder: Path) -> None:
    """Read the weights of `tensors` that lie in files in `folder`, and keep them inside, in place.

    Raises
    ------
    ModelError
        if a file's path is absolute, has ``..`` in it or leads outside `folder`; if the file is missing, not plain,
        not readable or too short; if offset or length are no numbers, or not what the tensor's dims say. Nothing has
        been read then. One tensor at a time is in memory twice.
    """
    spans = [_span(tensor) for tensor in tensors if tensor.data_location == TensorProto.EXTERNAL]
    root = folder.resolve()
    for span in spans:
        with _opened(root, span) as stream:
            size = os.fstat(stream.fileno()).st_size
        if span.offset + span.length > size:
            raise ModelError(
                f"{_named(span)} up to byte {span.offset + span.length}, but it has {size}: it is cut short, or"
                " another model's"
            )
    for span in spans:
        with _opened(root, span) as stream:
            span.tensor.raw_data = _read(stream, span)
        span.tensor.ClearField("data_location")
        del span.tensor.external_data[:]


def _span(tensor: TensorProto) -> _Span:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    if tensor.data_type == TensorProto.STRING:
        raise ModelError(f"the weights {shown(tensor.name)} are strings, which cannot lie in another file")
    length = claimed_bytes(tensor)
    offset = _number(tensor, "offset", entries.get("offset", "0"))
    said = _number(tensor, "length", entries.get("length", str(length)))
    if said != length:
        raise ModelError(
            f"the weights {shown(tensor.name)} of shape {list(tensor.dims)[:8]} need {length} bytes, but the model"
            f" says that {said} lie in {shown(location)}"
        )
    return _Span(tensor, location, offset, length)


def _number(tensor: TensorProto, key: str, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 20):
        raise ModelError(f"the weights {shown(tensor.name)} have the impossible {key} {shown(text)}")
    return int(text)


def _opened(root: Path, span: _Span) -> BinaryIO:
    pure = PurePosixPath(span.location)
    if not span.location or "\0" in span.location:
        raise ModelError(f"{_named(span)}, which is no file name")
    if pure.is_absolute() or ".." in pure.parts or "\\" in span.location:
        raise ModelError(f"{_named(span)}, outside the model's folder: they are only read from beside the model")
    try:
        target = (root / pure).resolve()
        if not target.is_relative_to(root):
            raise ModelError(f"{_named(span)}, a link that leaves the model's folder: copy the file itself there")
        # Without O_NONBLOCK a pipe would wait for a writer for ever.
        descriptor = os.open(target, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise ModelError(f"{_named(span)}, which is not a plain file")
        return os.fdopen(descriptor, "rb")
    except FileNotFoundError as error:
        raise ModelError(f"{_named(span)}, which is missing: copy it beside the model") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: links in a circle
        reason = (error.strerror if isinstance(error, OSError) else None) or "its links lead in a circle"
        raise ModelError(f"{_named(span)}, which cannot be read: {reason}") from error


def _read(stream: BinaryIO, span: _Span) -> bytes:
    try:
        stream.seek(span.offset)
        data = stream.read(span.length)
    except OSError as error:
        raise ModelError(f"{_named(span)}, which cannot be read: {error.strerror or error}") from error
    if len(data) != span.length:
        raise ModelError(f"{_named(span)}, which became shorter while it was read")
    return data


def _named(span: _Span) -> str:
    return f"the weights {shown(span.tensor.name)} lie in {shown(span.location)}"
