"""A profile's file: safetensors with sorted metadata, so that the same profile is always the same bytes."""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from featcodec.contract import Array
from featcodec.errors import ProfileError
from featcodec.optional import require

FORMAT = "featcodec-profile"
VERSION = "1"
MAX_BYTES = 64 << 20
_INSTALL = "pip install safetensors"
_DTYPES = {"I8": "<i1", "U8": "<u1", "U16": "<u2", "I32": "<i4", "F32": "<f4"}


def read_bytes(path: str | PathLike[str]) -> bytes:
    """A file's bytes, never more than MAX_BYTES. Raises ProfileError."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ProfileError(f"cannot read profile {path}: {error.strerror or error}") from error
    if len(data) > MAX_BYTES:
        raise ProfileError(f"profile {path} is larger than {MAX_BYTES:,} bytes")
    return data


def unpack(data: bytes) -> tuple[dict[str, Array], Mapping[str, str]]:
    """Tensors (read-only) and metadata. Raises ProfileError, MissingLibraryError."""
    if len(data) > MAX_BYTES:
        raise ProfileError(f"a profile has at most {MAX_BYTES:,} bytes, not {len(data):,}")
    library = require("safetensors", "transform", _INSTALL)
    try:
        parts = library.deserialize(data)
        (length,) = struct.unpack_from("<Q", data)
        metadata = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    except (library.SafetensorError, ValueError, RecursionError, struct.error) as error:
        raise ProfileError(f"not a profile: cut short, or no safetensors file ({_line(error)})") from error
    if metadata.get("format") != FORMAT:
        raise ProfileError(f"not a profile: its format is {metadata.get('format')!r:.40}, not {FORMAT!r}")
    if metadata.get("version") != VERSION:
        stated = f"{metadata.get('version')!r:.40}"
        raise ProfileError(f"profile version {stated} is unknown, this is a decoder for version {VERSION!r}")
    return {name: _array(name, part) for name, part in parts}, MappingProxyType(metadata)


def pack(arrays: Mapping[str, Array], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file. `format` and `version` are added to the metadata. Raises MissingLibraryError."""
    library = require("safetensors.numpy", "transform", _INSTALL)
    data: bytes = library.save(dict(arrays), {**metadata, "format": FORMAT, "version": VERSION})
    (length,) = struct.unpack_from("<Q", data)
    # The library writes metadata in an order that differs from call to call.
    header = json.dumps(json.loads(data[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return struct.pack("<Q", len(header)) + header + data[8 + length :]


def _array(name: str, part: Mapping[str, Any]) -> Array:
    stored = _DTYPES.get(part["dtype"])
    if stored is None:
        raise ProfileError(f"tensor {name!r:.40} has dtype {part['dtype']}, which no profile uses")
    array = np.frombuffer(part["data"], stored).reshape(part["shape"])
    array.flags.writeable = False
    return array


def _line(error: Exception) -> str:
    return str(error).partition("\n")[0][:200]
