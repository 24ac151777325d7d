"""The dtypes a frame can carry and their codes on the wire."""

from __future__ import annotations

from typing import Any

import numpy as np

from featcodec.errors import InputError, UnsupportedError

# The position is the code on the wire: append only.
_NAMES = (
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "float32",
    "float64",
)
ALL = frozenset(_NAMES)
FLOATS = frozenset({"float16", "float32", "float64"})

_LITTLE = tuple(np.dtype(name).newbyteorder("<") for name in _NAMES)
_CODES = {(dtype.kind, dtype.itemsize): code for code, dtype in enumerate(_LITTLE)}


def code_of(dtype: np.dtype[Any]) -> int:
    """The wire code of a dtype of any byte order. Raises InputError for a dtype frames cannot carry."""
    code = _CODES.get((dtype.kind, dtype.itemsize))
    if code is None:
        raise InputError(f"dtype {dtype} is not supported; convert to one of {', '.join(_NAMES)}")
    return code


def dtype_of(code: int) -> np.dtype[Any]:
    """The little-endian dtype of a wire code. Raises UnsupportedError for an unknown code."""
    if code >= len(_LITTLE):
        raise UnsupportedError(f"dtype code {code} is unknown to this version (0 to {len(_LITTLE) - 1} are)")
    return _LITTLE[code]


def name_of(dtype: np.dtype[Any]) -> str:
    """The dtype's name without byte order; faster than numpy's own `.name`."""
    return _NAMES[code_of(dtype)]
