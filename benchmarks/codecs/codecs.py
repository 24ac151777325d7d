"""The codecs compared: the paper's four first, then the others, then ours; a missing library is a row that says so."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
from PIL import Image

import featcodec
from benchmarks import ffmpeg
from benchmarks.codecs.tensors import divisor, tiled, untiled
from splitnet.runtime import Array

Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Codec:
    """A lossless codec of arrays (C, H, W); without `encode`, `missing` says what it needs."""

    name: str
    group: str
    encode: Callable[[Array], bytes] | None = None
    decode: Callable[[bytes, Shape], Array] | None = None
    missing: str = ""


PAPER = ("gzip:level=9", "zlib:level=9", "bz2", "lzma:preset=9")
GENERAL = ("zstd:level=19", "lz4:level=9", "brotli:quality=11")
OWN = ("ctx", "rans", "floats")


def lossless(kind: str) -> Iterator[Codec]:
    """Every codec for maps of `kind` ("float32", or symbols)."""
    floats = kind == "float32"
    for coder in PAPER:
        yield own(f"none|{coder}", "paper")
    for coder in GENERAL:
        yield own(f"none|{coder}", "general")
    if floats:
        yield own("none|shuffle|lzma:preset=9", "general")
        yield own("none|shuffle|zstd:level=19", "general")
    yield _blosc2(4 if floats else 1)
    yield _pcodec()
    if floats:
        yield _imagecodecs(
            "zfp", "zfp", lambda ic, x: ic.zfp_encode(x), lambda ic, data, _: ic.zfp_decode(data), "general"
        )
    else:
        yield from _pictures()
    known = {stage.name for stage in featcodec.list_stages()}
    for name in OWN:
        if name in known and (name == "floats") == floats:
            yield own(f"none|{name}", "ours")


def own(spec: str, group: str) -> Codec:
    """A codec of featcodec; its size is that of whole frames."""
    parsed = featcodec.parse_spec(spec)
    return Codec(spec, group, lambda x: featcodec.encode(x, parsed), lambda data, _: featcodec.decode(data))


def _blosc2(typesize: int) -> Codec:
    if find_spec("blosc2") is None:
        return Codec("blosc2 zstd-9", "general", missing="pip install blosc2")
    blosc2: Any = import_module("blosc2")
    blosc2.set_nthreads(1)

    def encode(x: Array) -> bytes:
        return bytes(blosc2.compress2(x.tobytes(), typesize=typesize, codec=blosc2.Codec.ZSTD, clevel=9))

    def decode(data: bytes, shape: Shape) -> Array:
        return np.frombuffer(blosc2.decompress2(data), np.float32 if typesize == 4 else np.uint8).reshape(shape)

    return Codec("blosc2 zstd-9", "general", encode, decode)


def _pcodec() -> Codec:
    if find_spec("pcodec") is None:
        return Codec("pcodec", "general", missing="pip install pcodec")
    pcodec: Any = import_module("pcodec")

    def encode(x: Array) -> bytes:
        # pcodec is made for numbers of 16 bits and more.
        wide = x.ravel() if x.dtype == np.float32 else x.ravel().astype(np.uint16)
        return bytes(pcodec.standalone.simple_compress(wide, pcodec.ChunkConfig()))

    def decode(data: bytes, shape: Shape) -> Array:
        values: Array = pcodec.standalone.simple_decompress(data)
        return values.reshape(shape) if values.dtype == np.float32 else values.astype(np.uint8).reshape(shape)

    return Codec("pcodec", "general", encode, decode)


def _pictures() -> Iterator[Codec]:
    def png(x: Array) -> bytes:
        buffer = io.BytesIO()
        Image.fromarray(tiled(x)).save(buffer, "PNG", optimize=True)
        return buffer.getvalue()

    yield Codec(
        "PNG, tiled", "picture", png, lambda data, shape: untiled(np.asarray(Image.open(io.BytesIO(data))), shape)
    )
    yield _imagecodecs(
        "WebP, tiled",
        "webp",
        lambda ic, x: ic.webp_encode(np.repeat(tiled(x)[..., None], 3, 2), lossless=True, level=6),
        lambda ic, data, shape: untiled(np.ascontiguousarray(ic.webp_decode(data)[..., 0]), shape),
    )
    yield _imagecodecs(
        "JPEG-LS, tiled",
        "jpegls",
        lambda ic, x: ic.jpegls_encode(tiled(x)),
        lambda ic, data, shape: untiled(ic.jpegls_decode(data), shape),
    )
    for effort in (3, 7, 9):
        yield _imagecodecs(
            f"JPEG XL e{effort}, tiled",
            "jpegxl",
            lambda ic, x, effort=effort: ic.jpegxl_encode(tiled(x), lossless=True, effort=effort, numthreads=1),
            lambda ic, data, shape: untiled(ic.jpegxl_decode(data, numthreads=1), shape),
        )
    yield _x265()
    yield Codec("VVC, tiled", "picture", missing="VVenC's lossless cost mode gives other values back")


def _x265() -> Codec:
    """One 4:0:0 frame a call by an external program, whose start is part of its time."""
    name = "x265 slow, tiled"
    if why := ffmpeg.lacks("libx265"):
        return Codec(name, "picture", missing=why)
    grey = ("-f", "rawvideo", "-pix_fmt", "gray")
    params = "lossless=1:keyint=1:info=0:pools=none:frame-threads=1:log-level=error"
    told = ("-c:v", "libx265", "-preset", "slow", "-threads", "1", "-x265-params", params, "-f", "hevc", "-")

    def encode(x: Array) -> bytes:
        frame = tiled(x, divisor(x.shape))
        # x265 takes nothing smaller.
        frame = np.pad(frame, [(0, max(0, 32 - side)) for side in frame.shape], mode="edge")
        size = f"{frame.shape[1]}x{frame.shape[0]}"
        return ffmpeg.run([*grey, "-s", size, "-i", "-", *told], frame.tobytes())[0]

    def decode(data: bytes, shape: Shape) -> Array:
        values = np.frombuffer(ffmpeg.run(["-f", "hevc", "-i", "-", *grey, "-"], data)[0], np.uint8)
        width = divisor(shape) * shape[2]
        height = shape[0] * shape[1] * shape[2] // width
        return untiled(values.reshape(-1, max(32, width))[:height, :width], shape)

    return Codec(name, "picture", encode, decode)


def _imagecodecs(
    name: str,
    module: str,
    encode: Callable[..., Any],
    decode: Callable[[Any, bytes, Shape], Array],
    group: str = "picture",
) -> Codec:
    if find_spec("imagecodecs") is None:
        return Codec(name, group, missing="pip install imagecodecs")
    ic: Any = import_module("imagecodecs")
    if not getattr(ic, module.upper()).available:
        return Codec(name, group, missing=f"this build of imagecodecs has no {module}")
    return Codec(name, group, lambda x: bytes(encode(ic, x)), lambda data, shape: np.asarray(decode(ic, data, shape)))
