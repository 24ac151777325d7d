"""From an array, or a ``.npy`` file of one, to the input of a network that takes no images. numpy only."""

from __future__ import annotations

import io
import math
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from splitnet.bundle.manifest import TensorInput
from splitnet.errors import SampleError

Array = np.ndarray[Any, np.dtype[Any]]
Tensor = np.ndarray[Any, np.dtype[np.float32]]

_HEADER = 1 << 14
"""Bytes that are read of a file before anything else is known; numpy takes no header of more than 10,000."""


def load_sample(sample: object, spec: TensorInput) -> Tensor:
    """A path of a ``.npy`` file, the bytes of one, or an array -> float32 (1, *spec.shape), contiguous.

    The array is float32 in any byte order, of shape `spec.shape` or with a batch of one in front; its values stay as
    they are. A file's header is checked before memory is taken for what it claims, and nothing in it is ever run.

    Raises
    ------
    SampleError
        if it cannot be read or is something else: says what it holds, and what the network takes.
    """
    if isinstance(sample, np.ndarray):
        _check(sample.dtype, sample.shape, spec, "the array")
        return _finish(sample, spec)
    if isinstance(sample, bytes):
        return _read(io.BytesIO(sample), len(sample), spec, "the bytes")
    if isinstance(sample, str | Path):
        return _from_file(Path(sample), spec)
    raise SampleError(f"a {type(sample).__name__} is no input: {_wanted(spec)}")


def _from_file(path: Path, spec: TensorInput) -> Tensor:
    try:
        # A pipe would block for ever.
        if not path.is_file():
            raise SampleError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
        with path.open("rb") as stream:
            return _read(stream, os.fstat(stream.fileno()).st_size, spec, str(path))
    except OSError as error:
        raise SampleError(f"{path}: cannot be read: {error.strerror or error}") from error


def _read(stream: io.BufferedIOBase, size: int, spec: TensorInput, name: str) -> Tensor:
    dtype, shape, fortran, start = _header(stream, spec, name)
    _check(dtype, shape, spec, name)
    wanted = 4 * math.prod(shape)
    if size - start != wanted:
        raise SampleError(f"{name}: {size - start} bytes of values instead of {wanted}; write it with numpy.save")
    try:
        stream.seek(start)
        data = bytearray(wanted)
        if stream.readinto(data) != wanted:
            raise SampleError(f"{name}: its length changes while it is read")
        return _finish(np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C"), spec)
    except MemoryError as error:
        raise SampleError(f"{name}: needs more memory than there is") from error


def _header(
    stream: io.BufferedIOBase, spec: TensorInput, name: str
) -> tuple[np.dtype[Any], tuple[int, ...], bool, int]:
    """Type and shape that a file says it holds, whether the first index is the fastest, and where the values begin."""
    head = io.BytesIO(stream.read(_HEADER))
    try:
        version = np.lib.format.read_magic(head)
    except ValueError as error:
        raise SampleError(f"{name}: not a .npy file: {_wanted(spec)}") from error
    readers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in readers:
        # Version 3 is for names of fields that are not ASCII, which no float32 has.
        raise SampleError(f"{name}: version {version[0]}.{version[1]} of .npy: {_wanted(spec)}")
    try:
        with warnings.catch_warnings():
            # numpy prints lines about headers that Python 2 wrote.
            warnings.simplefilter("ignore")
            shape, fortran, dtype = readers[version](head)
    except Exception as error:  # the header is parsed as Python literals: ValueError, RecursionError, MemoryError ...
        raise SampleError(f"{name}: its .npy header cannot be read; write it with numpy.save") from error
    return dtype, tuple(int(side) for side in shape), fortran, head.tell()


def _check(dtype: np.dtype[Any], shape: tuple[int, ...], spec: TensorInput, name: str) -> None:
    if dtype.kind != "f" or dtype.itemsize != 4 or shape not in (spec.shape, (1, *spec.shape)):
        # Python writes no endless numbers.
        sides = str(shape) if all(0 <= side < 1 << 63 for side in shape) else "of an impossible shape"
        raise SampleError(f"{name} holds {_short(str(dtype.newbyteorder('=')))} {_short(sides)}: {_wanted(spec)}")


def _finish(values: Array, spec: TensorInput) -> Tensor:
    return np.ascontiguousarray(values, np.float32).reshape(1, *spec.shape)


def _wanted(spec: TensorInput) -> str:
    return f"give float32 {spec.shape} or {(1, *spec.shape)}, an array or what numpy.save wrote"


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:77]}..."
