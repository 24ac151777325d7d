"""What a method is: something that turns a photo's pixels or features into bytes and back, at several settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar, runtime_checkable

from splitnet.runtime import Array

T = TypeVar("T")
GROUPS = {"image": "image file, whole network in the cloud", "feature": "features", "video": "features as video"}
GROUPS["ours"] = "features, ours"


class Method(Protocol):
    """What every method says about itself.

    Attributes
    ----------
    name
        In figures: `avif`. One method a name is measured on all photos; see `selection`.
    label
        For people: `AVIF speed 6 4:4:4`.
    group
        A key of `GROUPS`. Methods of group "image" take pixels, uint8 (H, W, 3); the others take features, float32
        (C, H, W).
    identity
        All that the outcome depends on beside array and setting (versions of libraries, hashes of profiles):
        measurements are kept under it.
    settings
        From few bytes to many.
    """

    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def identity(self) -> str: ...
    @property
    def settings(self) -> Sequence[str]: ...


@runtime_checkable
class PhotoMethod(Method, Protocol):
    """Codes each photo by itself. `row` is the photo's place in the set: a cross-fitted codec's fold is `row % 5`."""

    def encode(self, array: Array, setting: str, row: int) -> bytes:
        """Everything the decoder needs beside `setting` and `row`."""
        ...

    def decode(self, data: bytes, setting: str, row: int) -> Array:
        """An array of the shape and type that `encode` was given."""
        ...


@runtime_checkable
class StreamMethod(Method, Protocol):
    """Codes all photos in one run of a program, for speed; each must still be decodable alone."""

    def code(self, arrays: Sequence[Array], setting: str) -> Sequence[Coded]:
        """One result a photo. Raises UsageError where the program fails."""
        ...


@dataclass(frozen=True, slots=True)
class Missing:
    """A method that cannot be measured here; `why` says what it needs."""

    name: str
    label: str
    group: str
    why: str
    identity: str = ""
    settings: Sequence[str] = ()


AnyMethod = PhotoMethod | StreamMethod | Missing


@dataclass(frozen=True, slots=True)
class Coded:
    """One photo there and back: bytes on the wire, the array that came out, processor milliseconds each way."""

    size: int
    array: Array
    encode_ms: float
    decode_ms: float


def coded(
    method: PhotoMethod | StreamMethod, arrays: Sequence[Array], rows: Sequence[int], setting: str
) -> Iterator[Coded]:
    """Every photo at one setting.

    Times are those of the processor, not of the clock: the same on a busy machine, and for codecs that wait for no one
    equal to the clock's on an idle one.
    """
    if isinstance(method, StreamMethod):
        yield from method.code(arrays, setting)
        return
    for array, row in zip(arrays, rows, strict=True):
        data, encode_ms = _timed(partial(method.encode, array, setting, row))
        back, decode_ms = _timed(partial(method.decode, data, setting, row))
        if (back.shape, back.dtype) != (array.shape, array.dtype):
            raise AssertionError(
                f"{method.label} {setting} gave {back.dtype} {back.shape} for {array.dtype} {array.shape}"
            )
        yield Coded(len(data), back, encode_ms, decode_ms)


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    start = time.process_time()
    result = work()
    return result, 1000 * (time.process_time() - start)
