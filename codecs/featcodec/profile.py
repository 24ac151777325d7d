"""Calibrated profiles of the `transform` quantiser: loading, making, checking. The file: docs/profile.md."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from typing import TYPE_CHECKING, Any

import numpy as np

from featcodec import profile_file
from featcodec._native import kernels
from featcodec.contract import Array
from featcodec.errors import InputError, ProfileError
from featcodec.profile_checks import DTYPES, NAMES, check, inverse
from featcodec.profile_contexts import ContextLayout
from featcodec.profile_step import ProfileAtStep, StepCache

if TYPE_CHECKING:
    from featcodec.seen import Head


@dataclass(frozen=True, eq=False, repr=False)
class TransformProfile:
    """What calibration learnt about the feature maps (C, H, W) of one cut, for `transform` and `rans`.

    Blocks of (h, w) pixels, B of them, have P = h * w frequencies each. All arrays are read-only. One object serves
    many threads. Profiles are equal when their files are. Made by `load_profile` and `make_profile`.
    """

    geometry: Array
    """int32 (5,): C, H, W, h, w."""
    frequencies: Array
    """uint16 (P,): raster index u * w + v of each row in scan order."""
    bands: Array
    """uint8 (P,): the matrix of each row, 0 to G - 1."""
    mean: Array
    """float32 (C,)."""
    analysis: Array
    """float32 (G, C, C)."""
    scales: Array
    """uint8 (P, C): class of the expected magnitude at step 1, in 1/8 octaves."""
    tables: Array
    """uint16 (T, S): counts of 0, -1, +1, -2, +2, ..., escape; rows sum to 2^14."""
    points: Array
    """float32 (T, M): what reconstruction adds to each magnitude."""
    expected: Array
    """uint16 (T,): 64 times the expected magnitude."""
    context_offsets: Array
    """int8 (K, 4): blocks down and right, frequencies down and right."""
    context_weights: Array
    """uint8 (K, 2): of the same component, of the whole row."""
    context_prior: Array
    """int32 (2,): alpha, beta."""
    synthesis: Array
    """float32 (G, C, C): inverses of `analysis`."""
    metadata: Mapping[str, str]
    fingerprint: bytes
    """SHA-256 of the file."""
    _data: bytes
    _steps: StepCache = field(init=False)
    heads: dict[bytes, Head] = field(init=False, default_factory=dict)
    """Of frames that were decoded with it: `featcodec.seen`."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "_steps", StepCache(self))

    @cached_property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of the features."""
        channels, height, width = self.geometry[:3].tolist()
        return channels, height, width

    @cached_property
    def blocks(self) -> tuple[int, int]:
        """(h, w) of a block, in pixels."""
        height, width = self.geometry[3:].tolist()
        return height, width

    @cached_property
    def symbols_shape(self) -> tuple[int, int, int]:
        """(B, P, C): blocks, frequencies, components."""
        channels, height, width, rows, columns = self.geometry.tolist()
        return (height // rows) * (width // columns), rows * columns, channels

    @cached_property
    def contexts(self) -> ContextLayout:
        """Which rows each row's tables depend on."""
        return ContextLayout(self.shape[1:], self.blocks, self.frequencies, self.context_offsets)

    @cached_property
    def kernel(self) -> Any:
        """The native form of `tables`."""
        return kernels.ProfileTables(self.tables)

    def at(self, step: float) -> ProfileAtStep:
        """What depends on the step too; kept for the steps used last."""
        return self._steps.at(step)

    def tables_of(self, step: float) -> Array:
        """uint8 (P, C): each coefficient's row of `tables` without contexts."""
        return self.at(step).tables

    def context_tables(self, symbols: Array, step: float) -> Array:
        """uint8 (B, P, C): the row of `tables` that codes each symbol with contexts; without any, `tables_of`.

        `symbols` are integers (B, P, C). Raises InputError for another shape.
        """
        if symbols.shape != self.symbols_shape or symbols.dtype.kind not in "iu":
            raise InputError(f"symbols of this profile are integers {self.symbols_shape}, not {symbols.shape}")
        return self.at(step).context_tables(symbols)

    def to_bytes(self) -> bytes:
        """The file."""
        return self._data

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TransformProfile) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __repr__(self) -> str:
        blocks = "x".join(map(str, self.blocks))
        return f"<TransformProfile {self.fingerprint.hex()[:16]} of {self.shape} in blocks of {blocks}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return load_profile, (self._data,)


def load_profile(source: str | PathLike[str] | bytes | bytearray | memoryview) -> TransformProfile:
    """A profile from a file's path or bytes.

    Raises ProfileError, in one line, for a file that cannot be read or is not a valid profile; MissingLibraryError.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
    elif isinstance(source, str | PathLike):
        data = profile_file.read_bytes(source)
    else:
        raise ProfileError(f"a profile is loaded from a path or bytes, not {type(source).__name__}")
    arrays, metadata = profile_file.unpack(data)
    check(arrays)
    return TransformProfile(
        **arrays,
        synthesis=inverse(arrays["analysis"]),
        metadata=metadata,
        fingerprint=hashlib.sha256(data).digest(),
        _data=data,
    )


def make_profile(*, metadata: Mapping[str, str], **arrays: np.typing.ArrayLike) -> TransformProfile:
    """A profile of the arrays of TransformProfile (all but `synthesis`) and free metadata, checked as a loaded one.

    Numbers that the file's dtypes cannot hold are errors. The same arguments give the same bytes. Raises ProfileError,
    MissingLibraryError.
    """
    for key, value in metadata.items():
        if not (isinstance(key, str) and isinstance(value, str)):
            raise ProfileError(f"wrong profile: metadata are strings, not {key!r}: {value!r}")
    return load_profile(profile_file.pack({name: _stored(name, array) for name, array in arrays.items()}, metadata))


def _stored(name: str, given: np.typing.ArrayLike) -> Array:
    if name not in DTYPES:
        raise ProfileError(f"wrong profile: tensor {name!r} is unknown (there are: {', '.join(NAMES)})")
    dtype = np.dtype(DTYPES[name]).newbyteorder("<")
    try:
        array = np.asarray(given)
        with np.errstate(all="ignore"):
            stored = np.ascontiguousarray(array, dtype) if array.ndim else array.astype(dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise ProfileError(f"wrong profile: {name} is not an array of numbers: {error}") from error
    if dtype.kind != "f" and not np.array_equal(stored, array):
        raise ProfileError(f"wrong profile: {name} holds numbers that {dtype.name} does not")
    return stored
