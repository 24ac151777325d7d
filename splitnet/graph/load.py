"""An ``.onnx`` file that somebody else exported."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import onnx

from splitnet.errors import ModelError
from splitnet.graph.external import load_external
from splitnet.graph.image import Layout, fix_image_input
from splitnet.graph.order import check_order
from splitnet.graph.stored import MAX_BYTES, check_claims, tensors


@dataclass(frozen=True)
class OnnxFile:
    """A checked network with all its weights inside, and the SHA-256 of the file and of the weights beside it."""

    model: onnx.ModelProto
    sha256: str


def load_onnx(path: Path, size: tuple[int, int] | None = None, layout: Layout = "nchw") -> onnx.ModelProto:
    """Read, check and prepare a network with one image input of shape (N, 3, height, width), float32.

    Parameters
    ----------
    size
        Height and width, needed where the graph leaves them free.
    layout
        Of the file; see `splitnet.graph.image.fix_image_input`, which raises UsageError and ModelError too.

    Raises
    ------
    ModelError
        as `read_onnx` does.
    """
    return fix_image_input(read_onnx(path).model, str(path), size, layout)


def read_onnx(path: Path) -> OnnxFile:
    """Read and check a network, with the weights that lie in other files beside it.

    Raises
    ------
    ModelError
        if the file is not readable, not ONNX or inconsistent, or its weights are not there, lie outside its folder, or
        are not what it says: see `splitnet.graph.external`.
    """
    data = _read(path)
    digest = hashlib.sha256(data)
    model = _parse(path, data)
    del data
    try:
        check_claims(model)
        beside = [tensor for tensor in tensors(model) if tensor.data_location == onnx.TensorProto.EXTERNAL]
        load_external(beside, path.parent)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    for tensor in beside:
        digest.update(tensor.raw_data)
    try:
        check_order(model.graph)
        onnx.checker.check_model(model)
    except Exception as error:  # ModelError, ValidationError, or whatever the checker's C++ side throws
        raise ModelError(f"{path} is not a valid ONNX network: {_line(error)}") from error
    return OnnxFile(model, digest.hexdigest())


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise ModelError(f"{path} is not a file")
        if path.stat().st_size > MAX_BYTES:
            raise ModelError(f"{path} is larger than 2 GiB, which no single ONNX file can be")
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror or error}") from error


def _parse(path: Path, data: bytes) -> onnx.ModelProto:
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # protobuf's DecodeError lives in different modules by version
        raise ModelError(f"{path} is not an ONNX file") from error
    if not model.HasField("graph") or not model.graph.node:
        raise ModelError(f"{path} holds no network")
    return model


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
