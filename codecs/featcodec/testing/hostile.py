"""Frames made to hurt a decoder. For each, decoding gives a FeatcodecError or an array, nothing else."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache

from featcodec.contract import ByteCoder
from featcodec.registry import stage_class, stage_names
from featcodec.testing.forge import UINT8, frame, profile_specs, small_frame, stage_specs, tensor, with_checksum
from featcodec.testing.profiles import small_profile
from featcodec.wire import varint

BOMB_BYTES = 64 << 20
_HUGE = (1 << 32) - 1
_SMALLEST = {  # the parameters that pack zeros best, where the defaults do not
    "zlib": "level=9",
    "gzip": "level=9",
    "zstd": "level=19",
    "lz4": "level=12",
    "brotli": "quality=9,lgwin=24",
}
_PREFIX = 5  # magic and version: a change there is refused whatever the checksum


def hostile_frames(*, thorough: bool = False) -> Iterator[tuple[str, bytes]]:
    """All hostile frames as (name, bytes), a few thousand; with `thorough`, every value of every byte of a
    small frame of every stage, some hundred thousand. Some need `small_profiles`."""
    yield "empty", b""
    for stage, spec in (stage_specs() | profile_specs()).items():
        whole = small_frame(spec)
        yield from truncations(stage, whole)
        yield from changes(stage, whole, tuple(range(1, 256)) if thorough else (0x01,))
    yield from forgeries()
    yield from bombs()


def truncations(name: str, whole: bytes) -> Iterator[tuple[str, bytes]]:
    """Every beginning of a frame, as it is and with a right checksum."""
    for length in range(len(whole)):
        yield f"{name}/cut-{length}", whole[:length]
    for length in range(len(whole) - 4):
        yield f"{name}/cut-{length}-checksum-right", with_checksum(whole[:length])


def changes(name: str, whole: bytes, masks: tuple[int, ...]) -> Iterator[tuple[str, bytes]]:
    """Every byte of a frame changed by every mask, as it is and with a right checksum."""
    for position in range(len(whole)):
        for mask in masks:
            changed = bytearray(whole)
            changed[position] ^= mask
            label = f"{name}/byte-{position}-xor-{mask:02x}"
            yield label, bytes(changed)
            if _PREFIX <= position < len(whole) - 4:
                yield f"{label}-checksum-right", with_checksum(bytes(changed[:-4]))


def forgeries() -> Iterator[tuple[str, bytes]]:
    """Frames with a right checksum whose header lies."""
    for label, shape in {
        "4-GiB": (1 << 30,),
        "2-to-the-64": (_HUGE, _HUGE),
        "2-to-the-256": (_HUGE,) * 8,
        "empty-but-huge": (0, _HUGE, _HUGE, _HUGE),
    }.items():
        for spec in stage_specs().values():
            lie = tensor(shape=shape)
            yield f"forged/{label}/{spec}", frame([lie], spec=spec.encode())
        for spec in profile_specs().values():
            named = frame([tensor(shape=shape)], spec=spec.encode(), fingerprint=small_profile().fingerprint[:8])
            yield f"forged/{label}/{spec}", named
    bad_tensors = {
        "payload-longer": tensor(payload_size=_HUGE),
        "payload-shorter": tensor(payload_size=7),
        "parameters-none-has": tensor(params=bytes(8)),
        "rank-9": tensor(shape=(1,) * 9),
        "rank-255": tensor(rank=255),
        "dtype-unknown": tensor(dtype=12),
        "bool-2": tensor(dtype=0, shape=(8,)),
        "varint-endless": bytes((10, 1)) + b"\xff" * 20,
        "varint-padded": bytes((10, 1)) + b"\x82\x00\x00\x08",
        "varint-too-large": bytes((10, 1)) + b"\xff\xff\xff\xff\x7f\x00\x08",
        "empty-with-payload": tensor(shape=(0,)),
    }
    for label, lie in bad_tensors.items():
        yield f"forged/{label}", frame([lie], b"\x02" * 8)
    yield "forged/no-tensors", frame([], b"")
    yield "forged/255-tensors", frame([tensor()], count=255)
    yield "forged/255-extensions", frame([tensor()], extensions=b"\xff")
    yield "forged/extension-longer", frame([tensor()], extensions=b"\x01\x00\x00" + varint(_HUGE))
    yield "forged/extension-critical", frame([tensor()], extensions=b"\x01\x01\x80\x00")
    yield "forged/fingerprint-of-7", frame([tensor()], fingerprint=bytes(7))
    yield "forged/profile-unknown", frame([tensor()], fingerprint=bytes(32))
    yield "forged/bytes-left-over", frame([tensor()], bytes(9))
    for text in (b"", b"\x00", b"none|", b"\xff" * 255, b"nonsense|zstd", b"affine:bits=99", b"none|zlib|zstd"):
        yield f"forged/spec-{text[:20]!r}", frame([tensor()], spec=text)
    above = tensor(shape=(8,), params=struct.pack("<ff", 0, 1))
    yield "forged/symbol-too-large", frame([above], b"\xff" * 8, spec=b"affine:bits=7")
    for label, ends in {"nan": (float("nan"), 1), "inf": (0, float("inf")), "descending": (1, 0)}.items():
        ends_lie = tensor(shape=(8,), params=struct.pack("<ff", *ends))
        yield f"forged/range-{label}", frame([ends_lie], spec=b"affine")
        yield f"forged/clip-range-{label}", frame([ends_lie], spec=b"clip")
    yield from _terabytes()


def _terabytes() -> Iterator[tuple[str, bytes]]:
    """A zstd frame that states 1 TiB: magic, an 8-byte content size, then one empty last block."""
    for label, descriptor in {"one-segment": b"\xe0", "window": b"\xc0\xff"}.items():
        stream = b"\x28\xb5\x2f\xfd" + descriptor + struct.pack("<Q", 1 << 40) + b"\x01\x00\x00"
        for shape in ((64,), (1 << 20, 1 << 20)):
            claim = tensor(UINT8, shape, payload_size=len(stream))
            yield f"zstd-1-TiB/{label}/claims-{shape[0]}", frame([claim], stream, spec=b"none|zstd")


def bombs() -> Iterator[tuple[str, bytes]]:
    """For each byte coder its smallest stream of 64 MiB of zeros, in a frame that claims 16 bytes and in one
    that claims what it is (which decodes where `Limits` allow 64 MiB)."""
    for name in stage_names():
        if issubclass(stage_class(name), ByteCoder):
            stream = _zeros(name)
            for claimed in (16, BOMB_BYTES):
                claim = tensor(UINT8, (claimed,), payload_size=len(stream))
                yield f"bomb/{name}/claims-{claimed}", frame([claim], stream, spec=f"none|{name}".encode())


@lru_cache(maxsize=16)
def _zeros(name: str) -> bytes:
    stage = stage_class(name)
    text = _SMALLEST.get(name, "")
    pairs = (item.split("=") for item in text.split(",") if item)
    coder = stage(**{key: int(value) for key, value in pairs})
    assert isinstance(coder, ByteCoder)
    return coder.encode(bytes(BOMB_BYTES))
