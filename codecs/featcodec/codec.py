"""Encoding arrays into frames and back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from featcodec import frame as frames
from featcodec.contract import Array, Buffer, Profile, TransformQuantiser
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
from featcodec.seen import decode_seen, remember
from featcodec.spec import Spec, parse_spec
from featcodec.words import expand, shorten

_FINGERPRINT_STORED = 8  # bytes of a profile's SHA-256 in a frame: enough to tell one's own profiles apart
_DEFAULT_LIMITS = Limits()
_FLOAT32 = np.dtype("<f4")
_NO_PROFILES: Mapping[bytes, Profile] = {}
_STORED_TRANSFORM = shorten("transform:step=")


def encode(array: np.typing.ArrayLike, spec: Spec | str, *, profile: Profile | None = None) -> bytes:
    """Encode one array of any shape (at most 8 dimensions), byte order and memory layout into a frame.

    The same array, spec and library versions give the same bytes. `profile` is used by calibrated stages
    and ignored by the others. Raises SpecError, InputError (NonFiniteError), ProfileRequiredError,
    MissingLibraryError.
    """
    return encode_many((array,), spec, profile=profile)


def encode_many(arrays: Iterable[np.typing.ArrayLike], spec: Spec | str, *, profile: Profile | None = None) -> bytes:
    """Encode 1 to 255 arrays, which may differ in shape and dtype, into one frame. Raises as `encode`."""
    codec, used = _chosen(spec, profile)
    return _pack(codec, used, [_encode_tensor(array, codec, used) for array in arrays])


def encode_symbols(
    symbols: np.typing.ArrayLike,
    spec: Spec | str,
    *,
    profile: Profile | None,
    shape: tuple[int, ...] | None = None,
) -> bytes:
    """The frame that `encode` writes for the float32 features that have these symbols.

    `symbols`: int16 (B, P, C) of a spec such as "transform:step=1.75|rans", for example from a network's graph.
    `shape`: the features' as the frame states it; (1, C, H, W) unless given. Raises SpecError for a spec without such
    symbols, InputError, ProfileRequiredError, ProfileError, MissingLibraryError.
    """
    codec, used = _chosen(spec, profile)
    quantiser = _transform(codec, SpecError)
    _require_dtype(codec, _FLOAT32, InputError)
    given, symbol_dtype = np.asarray(symbols), quantiser.symbol_dtype(_FLOAT32)
    stated = quantiser.features_shape(used) if shape is None else tuple(shape)
    wanted = quantiser.symbols_shape(stated, used)
    if given.shape != wanted or given.dtype.newbyteorder("<") != symbol_dtype:
        raise InputError(f"symbols are {symbol_dtype.name} {wanted}, not {given.dtype.name} {given.shape}")
    payload = _code(given.astype(symbol_dtype, order="C", copy=False), codec, used)
    return _pack(codec, used, [(TensorInfo(_FLOAT32, stated, b"", len(payload)), payload)])


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


def decode_coefficients(
    frame: Buffer, *, profiles: Mapping[bytes, Profile] = _NO_PROFILES, limits: Limits = _DEFAULT_LIMITS
) -> Array:
    """What `decode` applies the synthesis to: float32 coefficients (B, P, C), the same bits on every machine.

    For a frame that holds one array coded by a spec such as "transform:step=1.75|rans"; the features are their
    synthesis (docs/profile.md), which a network's graph can do. Raises as `decode`; FrameError for another spec.
    """
    try:
        found = decode_seen(frame, profiles, limits)
    except MemoryError as error:
        raise _out_of_memory() from error
    if found is not None:
        return found
    header, payloads, spec, profile = _opened(frame, profiles, limits, single=True)
    quantiser = _transform(spec, FrameError)
    tensor = header.tensors[0]
    if not tensor.count:
        raise FrameError("the frame's array has no elements")
    limits.check("decoded_bytes", tensor.count * _FLOAT32.itemsize)
    with _memory_limited():
        coded, shape, dtype = _coded_symbols(tensor, payloads[0], spec, profile, limits)
        coder_profile = quantiser.coder_profile(profile)
        at_once = spec.coder.decode_coefficients(coded, shape, dtype, coder_profile)
        if at_once is not None:
            remember(frames.view(frame), header, spec, profile)
            return at_once
        return quantiser.reconstruct(spec.coder.decode(coded, shape, dtype, coder_profile), profile)


def is_transform(frame: Buffer) -> bool:
    """Whether a frame's quantiser is `transform`, by its first bytes alone: nothing else is read or checked."""
    head = bytes(frames.view(frame)[5:261])
    if head[1:2] == _STORED_TRANSFORM:
        return True
    try:
        return expand(head[1 : 1 + head[0]]).partition("|")[0].partition(":")[0].strip() == "transform"
    except (FrameError, IndexError):
        return False


def info(frame: Buffer, *, limits: Limits = _DEFAULT_LIMITS) -> FrameInfo:
    """Read and check a frame's header without decoding payloads, even of a codec unknown here.

    Raises FrameError and its kinds, LimitError.
    """
    return frames.parse(frames.view(frame), limits)[0]


def _chosen(spec: Spec | str, profile: Profile | None) -> tuple[Spec, Profile | None]:
    """The spec, and the profile if the spec uses one."""
    codec = spec if isinstance(spec, Spec) else parse_spec(spec)
    if codec.needs_profile and profile is None:
        raise ProfileRequiredError(f"{codec} needs a calibrated profile: pass profile=...")
    return codec, profile if codec.uses_profile else None


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
    payload = _code(symbols, spec, profile)
    return TensorInfo(dtype, given.shape, params, len(payload)), payload


def _code(symbols: Array, spec: Spec, profile: Profile | None) -> Buffer:
    coded = spec.coder.encode(symbols, spec.quantiser.coder_profile(profile))
    return spec.byte_coder.encode(coded) if spec.byte_coder else coded


def _pack(spec: Spec, profile: Profile | None, encoded: Sequence[tuple[TensorInfo, Buffer]]) -> bytes:
    fingerprint = profile.fingerprint[:_FINGERPRINT_STORED] if profile is not None else b""
    return frames.pack(str(spec), fingerprint, [info for info, _ in encoded], [data for _, data in encoded])


def _transform(spec: Spec, error: type[Exception]) -> TransformQuantiser:
    if not isinstance(spec.quantiser, TransformQuantiser):
        raise error(f"{spec} has no symbols of a transform: its quantiser is {spec.quantiser.name!r}")
    return spec.quantiser


def _require_dtype(spec: Spec, dtype: np.dtype[Any], error: type[Exception]) -> None:
    quantiser, coder = spec.quantiser, spec.coder
    name = name_of(dtype)
    if name not in quantiser.accepts:
        raise error(f"{quantiser.name} takes {', '.join(sorted(quantiser.accepts))}, not {name}")
    symbols = name_of(quantiser.symbol_dtype(dtype))
    if symbols not in coder.accepts:
        raise error(f"{coder.name} takes symbols of {', '.join(sorted(coder.accepts))}, not {symbols}")


def _decode(frame: Buffer, profiles: Mapping[bytes, Profile], limits: Limits, *, single: bool) -> list[Array]:
    header, payloads, spec, profile = _opened(frame, profiles, limits, single=single)
    with _memory_limited():
        return [
            _decode_tensor(tensor, payload, spec, profile, limits)
            for tensor, payload in zip(header.tensors, payloads, strict=True)
        ]


def _opened(
    frame: Buffer, profiles: Mapping[bytes, Profile], limits: Limits, *, single: bool
) -> tuple[FrameInfo, list[memoryview], Spec, Profile | None]:
    """All that comes before the payloads are decoded."""
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
    return header, payloads, spec, profile


@contextmanager
def _memory_limited() -> Iterator[None]:
    try:
        yield
    except MemoryError as error:
        raise _out_of_memory() from error


def _out_of_memory() -> LimitError:
    return LimitError("out of memory while decoding: lower Limits.decoded_bytes")


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
    native = tensor.dtype.newbyteorder("=")
    if not tensor.count:
        _require_dtype(spec, tensor.dtype, FrameError)
        if tensor.params or payload:
            raise PayloadError("a tensor without elements has neither parameters nor payload")
        return np.empty(tensor.shape, native)
    symbols = _decode_symbols(tensor, payload, spec, profile, limits)
    array = spec.quantiser.dequantise(symbols, memoryview(tensor.params), tensor.dtype, profile)
    if not array.flags.writeable:  # a view of the frame or of a library's immutable bytes
        array = array.copy()
    return array.astype(native, copy=False).reshape(tensor.shape)


def _decode_symbols(
    tensor: TensorInfo, payload: memoryview, spec: Spec, profile: Profile | None, limits: Limits
) -> Array:
    """The symbols of a tensor that has elements."""
    coded, shape, symbol_dtype = _coded_symbols(tensor, payload, spec, profile, limits)
    return spec.coder.decode(coded, shape, symbol_dtype, spec.quantiser.coder_profile(profile))


def _coded_symbols(
    tensor: TensorInfo, payload: memoryview, spec: Spec, profile: Profile | None, limits: Limits
) -> tuple[memoryview, tuple[int, ...], np.dtype[Any]]:
    """What the array coder decodes, and the shape and dtype of the symbols in it."""
    dtype, inner = tensor.dtype, tensor.shape or (1,)
    _require_dtype(spec, dtype, FrameError)
    expected = spec.quantiser.params_size(dtype, inner)
    if expected is not None and len(tensor.params) != expected:
        raise PayloadError(f"{spec.quantiser} has {expected} bytes of parameters, not {len(tensor.params)}")
    try:
        symbols_shape = spec.quantiser.symbols_shape(inner, profile)
    except InputError as error:
        raise PayloadError(str(error)) from error
    symbol_dtype = spec.quantiser.symbol_dtype(dtype)
    limits.check("decoded_bytes", tensor.count * symbol_dtype.itemsize)
    coded = _unpack(payload, spec, spec.coder.coded_size(tensor.count, symbol_dtype))
    return coded, symbols_shape, symbol_dtype


def _unpack(payload: memoryview, spec: Spec, size: int | None) -> memoryview:
    if size is None:  # Spec allows no byte coder here; the array coder checks its own stream
        return payload
    coded = memoryview(spec.byte_coder.decode(payload, size)) if spec.byte_coder else payload
    if len(coded) != size:
        raise PayloadError(f"{spec}: {len(coded)} bytes of symbols, {size} expected")
    return coded
