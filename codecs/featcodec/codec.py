"""Encoding arrays into frames and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from featcodec import frame as frames
from featcodec.contract import Array, Buffer, Profile
from featcodec.dtypes import code_of, dtype_of, name_of
from featcodec.errors import (
    FrameError,
    InputError,
    LimitError,
    PayloadError,
    ProfileRequiredError,
    SpecError,
    UnsupportedError,
)
from featcodec.header import FrameInfo, TensorInfo
from featcodec.limits import Limits
from featcodec.spec import Spec, parse_spec

_FINGERPRINT_STORED = 8  # bytes of a profile's SHA-256 in a frame: enough to tell one's own profiles apart
_DEFAULT_LIMITS = Limits()
_NO_PROFILES: Mapping[bytes, Profile] = {}


def encode(array: np.typing.ArrayLike, spec: Spec | str, *, profile: Profile | None = None) -> bytes:
    """Encode one array of any shape (at most 8 dimensions), byte order and memory layout into a frame.

    The same array, spec and library versions give the same bytes. `profile` is used by calibrated stages
    and ignored by the others. Raises SpecError, InputError (NonFiniteError), ProfileRequiredError,
    MissingLibraryError.
    """
    return encode_many((array,), spec, profile=profile)


def encode_many(arrays: Iterable[np.typing.ArrayLike], spec: Spec | str, *, profile: Profile | None = None) -> bytes:
    """Encode 1 to 255 arrays, which may differ in shape and dtype, into one frame. Raises as `encode`."""
    codec = spec if isinstance(spec, Spec) else parse_spec(spec)
    if codec.needs_profile and profile is None:
        raise ProfileRequiredError(f"{codec} needs a calibrated profile: pass profile=...")
    used = profile if codec.uses_profile else None
    encoded = [_encode_tensor(array, codec, used) for array in arrays]
    fingerprint = used.fingerprint[:_FINGERPRINT_STORED] if used is not None else b""
    return frames.pack(str(codec), fingerprint, [info for info, _ in encoded], [data for _, data in encoded])


def decode(
    frame: Buffer, *, profiles: Mapping[bytes, Profile] = _NO_PROFILES, limits: Limits = _DEFAULT_LIMITS
) -> Array:
    """Decode a frame that holds one array.

    The array is the caller's own: writable, contiguous, in native byte order, of the encoded dtype and
    shape. `profiles` maps SHA-256 fingerprints (32 bytes) to profiles. Raises FrameError and its kinds,
    LimitError, ProfileRequiredError, MissingLibraryError; FrameError too when there are several arrays.
    """
    arrays = _decode(frame, profiles, limits, single=True)
    return arrays[0]


def decode_many(
    frame: Buffer, *, profiles: Mapping[bytes, Profile] = _NO_PROFILES, limits: Limits = _DEFAULT_LIMITS
) -> tuple[Array, ...]:
    """Decode all arrays of a frame, in order. Otherwise as `decode`."""
    return tuple(_decode(frame, profiles, limits, single=False))


def info(frame: Buffer, *, limits: Limits = _DEFAULT_LIMITS) -> FrameInfo:
    """Read and check a frame's header without decoding payloads, even of a codec unknown here.

    Raises FrameError and its kinds, LimitError.
    """
    return frames.parse(frames.view(frame), limits)[0]


def _encode_tensor(array: np.typing.ArrayLike, spec: Spec, profile: Profile | None) -> tuple[TensorInfo, Buffer]:
    try:
        given = np.asarray(array)
    except (ValueError, TypeError) as error:
        raise InputError(f"not an array: {error}") from error
    dtype = dtype_of(code_of(given.dtype))
    _require_dtype(spec, dtype, InputError)
    if not given.size:
        return TensorInfo(dtype, given.shape, b"", 0), b""
    plain = given.astype(dtype, order="C", copy=False)
    symbols, params = spec.quantiser.quantise(plain if plain.ndim else plain.reshape(1), profile)
    coded = spec.coder.encode(symbols, profile)
    payload = spec.byte_coder.encode(coded) if spec.byte_coder else coded
    return TensorInfo(dtype, given.shape, params, len(payload)), payload


def _require_dtype(spec: Spec, dtype: np.dtype[Any], error: type[Exception]) -> None:
    quantiser, coder = spec.quantiser, spec.coder
    name = name_of(dtype)
    if name not in quantiser.accepts:
        raise error(f"{quantiser.name} takes {', '.join(sorted(quantiser.accepts))}, not {name}")
    symbols = name_of(quantiser.symbol_dtype(dtype))
    if symbols not in coder.accepts:
        raise error(f"{coder.name} takes symbols of {', '.join(sorted(coder.accepts))}, not {symbols}")


def _decode(frame: Buffer, profiles: Mapping[bytes, Profile], limits: Limits, *, single: bool) -> list[Array]:
    header, payloads = frames.parse(frames.view(frame), limits)
    if single and len(payloads) > 1:
        raise FrameError(f"the frame holds {len(payloads)} arrays: use decode_many")
    spec = _known_spec(header)
    profile = _find_profile(header, profiles)
    if spec.needs_profile and profile is None:
        raise FrameError(f"{spec} needs a profile, but the frame names none")
    for extension in header.extensions:
        if extension.critical:
            raise UnsupportedError(f"critical extension {extension.tag:#06x} is unknown to this version")
    try:
        return [
            _decode_tensor(tensor, payload, spec, profile, limits)
            for tensor, payload in zip(header.tensors, payloads, strict=True)
        ]
    except MemoryError as error:
        raise LimitError("out of memory while decoding: lower Limits.decoded_bytes") from error


def _known_spec(header: FrameInfo) -> Spec:
    try:
        return parse_spec(header.spec)
    except SpecError as error:
        raise UnsupportedError(f"the frame's codec {header.spec!r} is unknown here: {error}") from error


def _find_profile(header: FrameInfo, profiles: Mapping[bytes, Profile]) -> Profile | None:
    wanted = header.fingerprint
    if not wanted:
        return None
    found = [profile for fingerprint, profile in profiles.items() if fingerprint.startswith(wanted)]
    if len(found) != 1:
        known = "several given profiles match" if found else "it was not given"
        raise ProfileRequiredError(f"the frame needs profile {wanted.hex()}: {known}", wanted)
    return found[0]


def _decode_tensor(
    tensor: TensorInfo, payload: memoryview, spec: Spec, profile: Profile | None, limits: Limits
) -> Array:
    dtype, shape, count = tensor.dtype, tensor.shape, tensor.count
    _require_dtype(spec, dtype, FrameError)
    native = dtype.newbyteorder("=")
    if not count:
        if tensor.params or payload:
            raise PayloadError("a tensor without elements has neither parameters nor payload")
        return np.empty(shape, native)
    inner = shape or (1,)
    expected = spec.quantiser.params_size(dtype, inner)
    if expected is not None and len(tensor.params) != expected:
        raise PayloadError(f"{spec.quantiser} has {expected} bytes of parameters, not {len(tensor.params)}")
    symbol_dtype = spec.quantiser.symbol_dtype(dtype)
    limits.check("decoded_bytes", count * symbol_dtype.itemsize)
    coded = _unpack(payload, spec, spec.coder.coded_size(count, symbol_dtype))
    symbols = spec.coder.decode(coded, inner, symbol_dtype, profile)
    array = spec.quantiser.dequantise(symbols, memoryview(tensor.params), dtype, profile)
    if not array.flags.writeable:  # a view of the frame or of a library's immutable bytes
        array = array.copy()
    return array.astype(native, copy=False).reshape(shape)


def _unpack(payload: memoryview, spec: Spec, size: int | None) -> memoryview:
    if size is None:  # Spec allows no byte coder here; the array coder checks its own stream
        return payload
    coded = memoryview(spec.byte_coder.decode(payload, size)) if spec.byte_coder else payload
    if len(coded) != size:
        raise PayloadError(f"{spec}: {len(coded)} bytes of symbols, {size} expected")
    return coded
