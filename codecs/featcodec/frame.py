"""The frame: self-describing bytes around the payloads. `docs/frame.md` specifies it byte by byte."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

from featcodec.contract import Buffer
from featcodec.dtypes import code_of, dtype_of
from featcodec.errors import ChecksumError, FrameError, InputError, TruncatedError, UnsupportedError
from featcodec.header import Extension, FrameInfo, TensorInfo
from featcodec.limits import Limits
from featcodec.wire import MAX_VARINT, Reader, varint
from featcodec.words import expand, shorten

MAGIC = b"\x89FCF"
VERSION = 1
MAX_TENSORS = 255
MAX_RANK = 8
FINGERPRINT_BYTES = range(8, 33)
# Magic, version, a spec of one byte, no fingerprint, one 0-d tensor, no extensions, checksum.
_SHORTEST = 4 + 1 + 2 + 1 + 1 + 4 + 1 + 4


def pack(
    spec: str,
    fingerprint: bytes,
    tensors: Sequence[TensorInfo],
    payloads: Sequence[Buffer],
    extensions: Sequence[Extension] = (),
) -> bytes:
    """Write a frame. Raises InputError where the format cannot hold a value."""
    if not 1 <= len(tensors) <= MAX_TENSORS:
        raise InputError(f"a frame holds 1 to {MAX_TENSORS} arrays, not {len(tensors)}")
    if fingerprint and len(fingerprint) not in FINGERPRINT_BYTES:
        raise InputError(f"a profile's fingerprint is a SHA-256 of 32 bytes, not {len(fingerprint)} bytes")
    text = shorten(spec)
    head = bytearray(MAGIC)
    head += bytes((VERSION, len(text))) + text
    head += bytes((len(fingerprint),)) + fingerprint
    head.append(len(tensors))
    for tensor in tensors:
        _pack_tensor(head, tensor)
    head.append(len(extensions))
    for extension in extensions:
        head += struct.pack("<H", extension.tag) + varint(len(extension.data)) + extension.data
    checksum = zlib.crc32(head)
    for payload in payloads:
        checksum = zlib.crc32(payload, checksum)
    return b"".join([head, *payloads, struct.pack("<I", checksum)])


def _pack_tensor(head: bytearray, tensor: TensorInfo) -> None:
    if len(tensor.shape) > MAX_RANK:
        raise InputError(f"a frame holds arrays of at most {MAX_RANK} dimensions, not {len(tensor.shape)}")
    if max((*tensor.shape, len(tensor.params), tensor.payload_bytes)) > MAX_VARINT:
        raise InputError(f"array of shape {tensor.shape}: no dimension or payload may exceed {MAX_VARINT}")
    head += bytes((code_of(tensor.dtype), len(tensor.shape)))
    for length in tensor.shape:
        head += varint(length)
    head += varint(len(tensor.params)) + tensor.params + varint(tensor.payload_bytes)


def view(frame: Buffer) -> memoryview:
    """A frame's bytes, read-only, so that no decoded array can share them. Raises InputError."""
    try:
        data = memoryview(frame).toreadonly()
        plain = data.format == "B" and data.ndim == 1 and data.c_contiguous
        return data if plain else data.cast("B")
    except TypeError as error:
        raise InputError(f"a frame is contiguous bytes, not {type(frame).__name__}") from error


def parse(data: memoryview, limits: Limits) -> tuple[FrameInfo, list[memoryview]]:
    """Check a frame and split it into its header and payloads (views of `data`).

    Length, magic, version and checksum are judged before anything else is believed. Raises FrameError and
    its kinds, LimitError.
    """
    limits.check("frame_bytes", len(data))
    if data[:4] != MAGIC[: len(data)]:
        raise FrameError(f"not a featcodec frame: it begins with {bytes(data[:4]).hex(' ')}")
    if len(data) < _SHORTEST:
        raise TruncatedError(f"{len(data)} bytes are too few for a frame")
    if data[4] != VERSION:
        raise UnsupportedError(f"frame version {data[4]} is unknown, this is a decoder for version {VERSION}")
    (stated,) = struct.unpack("<I", data[-4:])
    actual = zlib.crc32(data[:-4])
    if stated != actual:
        raise ChecksumError(
            f"checksum {actual:08x} instead of {stated:08x}: the frame was cut short or changed on its way"
        )
    return _parse_body(data, limits)


def _parse_body(data: memoryview, limits: Limits) -> tuple[FrameInfo, list[memoryview]]:
    reader = Reader(data[:-4], position=5)
    spec = expand(bytes(reader.take(reader.byte("spec length"), "spec")))
    fingerprint = bytes(reader.take(reader.byte("fingerprint length"), "fingerprint"))
    if fingerprint and len(fingerprint) not in FINGERPRINT_BYTES:
        raise FrameError(f"a fingerprint has 0 or 8 to 32 bytes, not {len(fingerprint)}")
    count = reader.byte("number of tensors")
    if not count:
        raise FrameError("the frame holds no tensors")
    limits.check("tensors", count)
    tensors = tuple([_tensor(reader, limits) for _ in range(count)])
    limits.check("decoded_bytes", sum([tensor.nbytes for tensor in tensors]))
    count = reader.byte("number of extensions")
    limits.check("extensions", count)
    extensions = tuple([_extension(reader) for _ in range(count)])
    payloads = [reader.take(tensor.payload_bytes, "payloads") for tensor in tensors]
    if reader.left:
        raise FrameError(f"{reader.left} bytes stand between the last payload and the checksum")
    return FrameInfo(data[4], spec, fingerprint, tensors, extensions, len(data)), payloads


def _tensor(reader: Reader, limits: Limits) -> TensorInfo:
    dtype = dtype_of(reader.byte("dtype"))
    rank = reader.byte("number of dimensions")
    if rank > MAX_RANK:
        raise FrameError(f"a tensor has at most {MAX_RANK} dimensions, not {rank}")
    limits.check("rank", rank)
    shape = tuple([reader.varint("dimensions") for _ in range(rank)])
    # Counted with empty axes as 1: numpy refuses (0, 2**32, 2**32) although it has no elements.
    extent = 1
    for length in shape:
        extent *= length or 1
    limits.check("elements", extent)
    params = bytes(reader.take(reader.varint("parameter size"), "parameters"))
    return TensorInfo(dtype, shape, params, reader.varint("payload size"))


def _extension(reader: Reader) -> Extension:
    (tag,) = struct.unpack("<H", reader.take(2, "extension"))
    return Extension(tag, bytes(reader.take(reader.varint("extension size"), "extension")))
