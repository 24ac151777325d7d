"""From a photo to the network's input: decode, resize and crop, normalise. Pillow and numpy only."""

from __future__ import annotations

import io
import math
import warnings
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from splitnet.bundle.manifest import ImageInput
from splitnet.errors import ImageError

MAX_PIXELS = 64_000_000
"""Largest photo that is decoded, in pixels: a small file can claim a picture that fills the memory."""

Pixels = np.ndarray[Any, np.dtype[np.uint8]]
Tensor = np.ndarray[Any, np.dtype[np.float32]]

_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def load_image(path: Path | str, *, max_pixels: int = MAX_PIXELS, short_side: int | None = None) -> Image.Image:
    """Decode the photo at `path` to RGB, turned upright as its EXIF orientation says.

    With `short_side`, a JPEG whose short side is at least eight times that is decoded at a half, a quarter or an eighth
    of its size, never below four times `short_side`: a camera's photo takes a fraction of the memory and the time.

    Transparency is laid over white; of an animation the first frame counts; 16-bit grey keeps its upper 8
    bits.

    Raises
    ------
    ImageError
        if the file cannot be read, is empty, cut short, no picture, larger than `max_pixels`, or has
        floating-point pixels (no range says what is white): the message names the path.
    """
    path = Path(path)
    try:
        # A pipe would block for ever.
        if not path.is_file():
            raise ImageError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
        with path.open("rb") as stream:
            return _decode(stream, str(path), max_pixels, short_side)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror or error}") from error


def decode_image(
    data: bytes,
    name: str = "image",
    *,
    max_pixels: int = MAX_PIXELS,
    short_side: int | None = None,
    formats: tuple[str, ...] | None = None,
) -> Image.Image:
    """The same as `load_image` for the bytes of a file; `name` stands for the path in messages.

    `formats` are Pillow's names of those that are taken, by default all.
    """
    return _decode(io.BytesIO(data), name, max_pixels, short_side, formats)


def from_pillow(image: Image.Image, name: str = "image", *, max_pixels: int = MAX_PIXELS) -> Image.Image:
    """The same for an image that Pillow has opened; `name` stands for the path in messages. Raises ImageError."""
    return _finish(image, name, max_pixels, None)


def resize_and_crop(image: Image.Image, spec: ImageInput) -> Pixels:
    """Resize an RGB image's short side, aspect kept, and cut out the centre: uint8, (height, width, 3)."""
    enlarged = spec.resize_short / min(spec.height, spec.width)
    scale = max(spec.height * enlarged / image.height, spec.width * enlarged / image.width)
    # The long side is rounded down, as in torchvision; never below the crop.
    width = max(int(image.width * scale + 1e-6), spec.width)
    height = max(int(image.height * scale + 1e-6), spec.height)
    if width * height > MAX_PIXELS:
        raise ImageError(
            f"a photo of {image.width}x{image.height} pixels is too thin: resized to a short side of "
            f"{spec.resize_short} it would have {width}x{height}; crop it"
        )
    resized = image.resize((width, height), _RESAMPLING[spec.interpolation])
    left, top = round((width - spec.width) / 2), round((height - spec.height) / 2)
    return np.asarray(resized.crop((left, top, left + spec.width, top + spec.height)))


def normalise(pixels: Pixels, spec: ImageInput) -> Tensor:
    """(x - mean) / std in float32: uint8 (height, width, 3) -> float32 (1, 3, height, width)."""
    mean, std = _constants(spec.mean, spec.std)
    # Planes first, while a value is one byte: then all the arithmetic runs on contiguous memory.
    tensor = np.ascontiguousarray(pixels.transpose(2, 0, 1)).astype(np.float32)
    tensor -= mean
    tensor /= std
    return tensor[np.newaxis]


def preprocess(image: Image.Image, spec: ImageInput) -> Tensor:
    """`resize_and_crop`, then `normalise`: float32, (1, 3, height, width)."""
    return normalise(resize_and_crop(image, spec), spec)


@lru_cache(maxsize=64)
def _constants(mean: tuple[float, ...], std: tuple[float, ...]) -> tuple[Tensor, Tensor]:
    shape = (3, 1, 1)
    return np.array(mean, np.float32).reshape(shape), np.array(std, np.float32).reshape(shape)


def _decode(
    stream: BinaryIO, name: str, max_pixels: int, short_side: int | None, formats: tuple[str, ...] | None = None
) -> Image.Image:
    try:
        image = Image.open(stream, formats=formats)
    except UnidentifiedImageError as error:
        raise ImageError(f"{name}: not a picture in a known format") from error
    except Exception as error:  # as below
        raise _undecodable(name, error) from error
    return _finish(image, name, max_pixels, short_side)


def _finish(image: Image.Image, name: str, max_pixels: int, short_side: int | None) -> Image.Image:
    try:
        with warnings.catch_warnings():
            # Pillow prints lines about large pictures, for which our limit is lower, and about odd EXIF data.
            warnings.simplefilter("ignore")
            if image.width * image.height > max_pixels:
                raise ImageError(f"{name}: {image.width}x{image.height} pixels are more than the limit of {max_pixels}")
            if short_side is not None:
                _draft(image, short_side)
            image.load()
            return _to_rgb(_upright(image), name)
    except ImageError:
        raise
    except Exception as error:  # decoders raise OSError, SyntaxError, struct.error, ValueError, MemoryError ...
        raise _undecodable(name, error) from error


def _undecodable(name: str, error: Exception) -> ImageError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ImageError(f"{name}: cannot be decoded: {reason}")


def _draft(image: Image.Image, short_side: int) -> None:
    share = 4 * short_side / min(image.size)
    if share <= 0.5:
        image.draft("RGB", (math.ceil(image.width * share), math.ceil(image.height * share)))


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # noqa: BLE001 - damaged EXIF data raise anything; the picture is good without
        return image


def _to_rgb(image: Image.Image, name: str) -> Image.Image:
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode == "F":
        raise ImageError(f"{name}: floating-point pixels have no defined white; convert the picture to 8 bits")
    if image.mode.startswith("I"):
        values = np.asarray(image)
        if values.min() < 0 or values.max() > 0xFFFF:
            raise ImageError(f"{name}: 32-bit pixels beyond 16 bits have no defined white; convert it to 8 bits")
        image = Image.fromarray((values.astype(np.uint32) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        over = image.convert("RGBA")
        white = Image.new("RGBA", over.size, "white")
        return Image.alpha_composite(white, over).convert("RGB")
    return image.convert("RGB")
