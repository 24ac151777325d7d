"""Image files of the crop: JPEG, WebP, AVIF (Pillow) and JPEG XL (imagecodecs), on one thread."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np
import PIL
from PIL import Image, ImageFile, features

from benchmarks.fidelity.methods import AnyMethod, Missing, PhotoMethod
from splitnet.runtime import Array

# Pillow gives libjpeg room for a byte a pixel, which a progressive file of a noisy photo at a high quality outgrows.
ImageFile.MAXBLOCK = 1 << 20
JPEG_QUALITIES = ("70", "75", "80", "85", "88", "90", "92", "94", "96", "98")
WEBP_QUALITIES = ("75", "80", "85", "88", "90", "92", "94", "96", "98", "100")
AVIF_QUALITIES = ("70", "75", "80", "85", "90", "94")
JXL_DISTANCES = ("1.6", "1.3", "1", "0.8", "0.6", "0.45", "0.3")
AVIF_SPEEDS = (10, 8, 7, 6, 4)
"""9 is 10; 5 takes as long as 4 and gives more bytes; 3 and less take a second a photo in 4:4:4."""
TRIAL = {
    "jpeg": ("75", "85", "90", "96"),
    "webp": ("80", "90", "96", "100"),
    "avif": ("70", "80", "88"),
    "jxl": ("1.5", "1", "0.6"),
}
"""Few settings on both sides of the KL at which variants of a format are compared."""


@dataclass(frozen=True)
class Pillow:
    """A format that Pillow writes; a setting is its quality."""

    name: str
    label: str
    kind: str
    identity: str
    settings: Sequence[str]
    options: dict[str, Any] = field(default_factory=dict)
    group: str = "image"

    def encode(self, array: Array, setting: str, row: int) -> bytes:
        """The file."""
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, self.kind, quality=int(setting), **self.options)
        return buffer.getvalue()

    def decode(self, data: bytes, setting: str, row: int) -> Array:
        """Its pixels in RGB."""
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


@dataclass(frozen=True)
class JpegXl:
    """A bare JPEG XL codestream; a setting is its distance."""

    label: str
    identity: str
    settings: Sequence[str]
    effort: int
    name: str = "jxl"
    group: str = "image"

    def encode(self, array: Array, setting: str, row: int) -> bytes:
        """The file."""
        ic: Any = import_module("imagecodecs")
        options = {"distance": float(setting), "effort": self.effort, "lossless": False, "numthreads": 1}
        return bytes(ic.jpegxl_encode(array, **options))

    def decode(self, data: bytes, setting: str, row: int) -> Array:
        """Its pixels in RGB."""
        return np.asarray(import_module("imagecodecs").jpegxl_decode(data, numthreads=1))


def variants() -> Iterator[AnyMethod]:
    """Every speed and chroma format of every image format."""
    yield from _jpeg()
    yield from _webp()
    yield from _avif()
    yield from _jxl()


def is_image(method: AnyMethod) -> bool:
    """Whether it takes pixels."""
    return method.group == "image"


def _jpeg() -> Iterator[PhotoMethod]:
    library = f"pillow {PIL.__version__} libjpeg {features.version('jpg')}"
    for chroma in ("4:2:0", "4:2:2", "4:4:4"):
        options = {"subsampling": chroma, "optimize": True, "progressive": True}
        yield Pillow("jpeg", f"JPEG {chroma}", "JPEG", f"{library} {options}", JPEG_QUALITIES, options)


def _webp() -> Iterator[AnyMethod]:
    if not features.check("webp"):
        yield Missing("webp", "WebP", "image", "this build of Pillow has no WebP")
        return
    library = f"pillow {PIL.__version__} libwebp {features.version('webp')}"
    for method in range(7):
        options = {"method": method}
        yield Pillow("webp", f"WebP method {method}", "WEBP", f"{library} {options}", WEBP_QUALITIES, options)


def _avif() -> Iterator[AnyMethod]:
    if not features.check("avif"):
        yield Missing("avif", "AVIF", "image", "this build of Pillow has no AVIF")
        return
    library = f"pillow {PIL.__version__} libavif {features.version('avif')} {_aom()}"
    for speed in AVIF_SPEEDS:
        for chroma in ("4:2:0", "4:4:4"):
            options = {"speed": speed, "subsampling": chroma, "codec": "aom", "max_threads": 1}
            label = f"AVIF speed {speed} {chroma}"
            yield Pillow("avif", label, "AVIF", f"{library} {options}", AVIF_QUALITIES, options)


def _aom() -> str:
    """libavif's coders with their versions, which `features` does not tell."""
    return str(import_module("PIL._avif").codec_versions())


def _jxl() -> Iterator[AnyMethod]:
    if find_spec("imagecodecs") is None:
        yield Missing("jxl", "JPEG XL", "image", "pip install imagecodecs")
        return
    ic: Any = import_module("imagecodecs")
    if not ic.JPEGXL.available:
        yield Missing("jxl", "JPEG XL", "image", "this build of imagecodecs has no JPEG XL")
        return
    library = f"imagecodecs {ic.__version__} {ic.jpegxl_version()}"
    for effort in range(3, 10):
        yield JpegXl(f"JPEG XL effort {effort}", f"{library} effort {effort}", JXL_DISTANCES, effort)
