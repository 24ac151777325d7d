"""What a stage must offer. Third parties subclass Quantiser, ArrayCoder or ByteCoder.

A stage is a frozen dataclass whose fields are its spec parameters, each declared with
`featcodec.parameters.integer`, `number` or `choice`. Stages keep no state: one object serves many threads.
The codec never calls a stage for an array without elements, and shows a 0-d array to it as shape (1,).
"""

from __future__ import annotations

from dataclasses import Field, dataclass, fields
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from featcodec.dtypes import ALL
from featcodec.parameters import RULE, Rule, check, show

Array = npt.NDArray[Any]
Buffer = bytes | bytearray | memoryview
Kind = Literal["quantiser", "array coder", "byte coder"]


class Profile(Protocol):
    """Calibrated parameters that live outside the frame, named by their SHA-256."""

    @property
    def fingerprint(self) -> bytes:
        """The 32 bytes of the profile's SHA-256."""


@dataclass(frozen=True)
class Stage:
    """Base of the three kinds of stage."""

    name: ClassVar[str]
    kind: ClassVar[Kind]
    library: ClassVar[str | None] = None
    """The optional library it needs, as one would install it."""
    profile_use: ClassVar[Literal["none", "optional", "required"]] = "none"
    """Whether it reads a profile. A frame states its profile when one is given and any stage uses it."""

    def __post_init__(self) -> None:
        for parameter in fields(self):
            check(self.name, parameter.name, rule_of(parameter), getattr(self, parameter.name))

    def __str__(self) -> str:
        given = [(f.name, getattr(self, f.name)) for f in fields(self) if getattr(self, f.name) != f.default]
        return self.name + (":" + ",".join(f"{k}={show(v)}" for k, v in given) if given else "")


def rule_of(parameter: Field[Any]) -> Rule:
    """The rule a stage's field was declared with; TypeError when it was declared without one."""
    rule = parameter.metadata.get(RULE)
    if not isinstance(rule, Rule):
        raise TypeError(f"parameter {parameter.name}: declare it with integer(), number() or choice()")
    return rule


@dataclass(frozen=True)
class Quantiser(Stage):
    """array -> as many symbols, of the same shape unless `symbols_shape` says otherwise, with a few bytes of parameters
    per tensor."""

    kind: ClassVar[Kind] = "quantiser"
    lossless: ClassVar[bool] = False
    accepts: ClassVar[frozenset[str]] = ALL
    """Names of the dtypes that `quantise` takes."""

    def symbol_dtype(self, dtype: np.dtype[Any]) -> np.dtype[Any]:
        """The dtype of the symbols for an array of `dtype`."""
        raise NotImplementedError

    def symbols_shape(self, shape: tuple[int, ...], profile: Profile | None) -> tuple[int, ...]:
        """The shape of the symbols of an array of `shape`; as many elements. Raises InputError for a shape that it
        does not take."""
        return shape

    def coder_profile(self, profile: Profile | None) -> Profile | None:
        """What the array coder gets for a profile: for example the profile together with this stage's parameters."""
        return profile

    def params_size(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> int | None:
        """Bytes of parameters for such a tensor, or None when they depend on the data."""
        return 0

    def quantise(self, array: Array, profile: Profile | None) -> tuple[Array, bytes]:
        """Symbols and parameters of a little-endian, C-contiguous array. Raises InputError."""
        raise NotImplementedError

    def dequantise(self, symbols: Array, params: memoryview, dtype: np.dtype[Any], profile: Profile | None) -> Array:
        """The array of `dtype`, with an element for each of `symbols`. `params` has `params_size` bytes, `symbols` may
        be read-only and may be returned. Raises PayloadError for symbols or parameters no encoder writes."""
        raise NotImplementedError


@dataclass(frozen=True)
class TransformQuantiser(Quantiser):
    """A quantiser of transformed values, without parameters per tensor, whose two halves `encode_symbols` and
    `decode_coefficients` use apart: a network's graph may do the transform itself."""

    profile_use: ClassVar[Literal["none", "optional", "required"]] = "required"

    def features_shape(self, profile: Profile | None) -> tuple[int, ...]:
        """The shape that a frame states for symbols given without one."""
        raise NotImplementedError

    def reconstruct(self, symbols: Array, profile: Profile | None) -> Array:
        """float32 coefficients, shaped like `symbols`; the same bits on every machine."""
        raise NotImplementedError

    def synthesise(self, coefficients: Array, dtype: np.dtype[Any], profile: Profile | None) -> Array:
        """The array of `dtype`, of any shape, for float32 coefficients."""
        raise NotImplementedError

    def dequantise(self, symbols: Array, params: memoryview, dtype: np.dtype[Any], profile: Profile | None) -> Array:
        return self.synthesise(self.reconstruct(symbols, profile), dtype, profile)


@dataclass(frozen=True)
class ArrayCoder(Stage):
    """symbols -> bytes."""

    kind: ClassVar[Kind] = "array coder"
    accepts: ClassVar[frozenset[str]] = ALL
    """Names of the symbol dtypes it takes."""

    def coded_size(self, count: int, dtype: np.dtype[Any]) -> int | None:
        """Bytes for `count` symbols of `dtype`, or None when that depends on the data. A byte coder may
        follow only where this is not None: its output size must follow from the header alone."""
        raise NotImplementedError

    def encode(self, symbols: Array, profile: Profile | None) -> Buffer:
        """The bytes of C-contiguous, little-endian symbols of any shape. `profile` is what the quantiser's
        `coder_profile` made of the caller's."""
        raise NotImplementedError

    def decode(self, data: memoryview, shape: tuple[int, ...], dtype: np.dtype[Any], profile: Profile | None) -> Array:
        """The symbols. `data` has `coded_size` bytes where that is known; otherwise the coder refuses
        bytes left over. The result may be a view of `data`. Raises PayloadError."""
        raise NotImplementedError

    def decode_coefficients(
        self, data: memoryview, shape: tuple[int, ...], dtype: np.dtype[Any], profile: Profile | None
    ) -> Array | None:
        """What `TransformQuantiser.reconstruct` makes of `decode`'s symbols, to the bit, where this coder does both
        in one pass; None where it does not. Raises PayloadError."""
        return None


@dataclass(frozen=True)
class ByteCoder(Stage):
    """bytes -> fewer bytes, losslessly."""

    kind: ClassVar[Kind] = "byte coder"

    def encode(self, data: Buffer) -> bytes:
        """Compress. Raises MissingLibraryError."""
        raise NotImplementedError

    def decode(self, data: memoryview, size: int) -> Buffer:
        """Decompress to exactly `size` bytes, never allocating much more than that. Raises PayloadError for
        a corrupt stream, another size or bytes left over; MissingLibraryError."""
        raise NotImplementedError
