"""A network's input as an image file: what crosses at the cut `input`, where the whole network is in the cloud."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import Self

import numpy as np
from PIL import Image

from splitnet.bundle.manifest import ImageInput
from splitnet.bundle.sizes import why_not
from splitnet.errors import ImageError, UsageError
from splitnet.models.preprocess import Pixels, Tensor, decode_image, normalise, preprocess

FORMATS = ("JPEG", "WEBP", "PNG")
"""Of files that are taken: few decoders, for files come from strangers."""

MAX_PIXELS = 16_000_000
"""Of a file that a service decodes: 48 MB of memory."""

_SPEC = re.compile(r"(jpeg|webp):quality=(\d{1,3})|png")


@dataclass(frozen=True, slots=True)
class ImageCodec:
    """`jpeg:quality=Q`, `webp:quality=Q` (Q from 1 to 100) or `png`, which is without loss."""

    format: str
    quality: int = 0

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """None where `text` names no image format. Raises UsageError for a quality out of range."""
        found = _SPEC.fullmatch(text.strip())
        if found is None:
            return None
        quality = int(found[2] or 0)
        if found[1] and not 1 <= quality <= 100:
            raise UsageError(f"codec {text!r}: a quality is from 1 to 100")
        return cls(found[1] or "png", quality)

    def __str__(self) -> str:
        return f"{self.format}:quality={self.quality}" if self.quality else self.format

    def encode(self, pixels: Pixels) -> bytes:
        """uint8 (H, W, 3), RGB -> the bytes of a file."""
        buffer = io.BytesIO()
        options = {"quality": self.quality} if self.quality else {}
        Image.fromarray(pixels).save(buffer, self.format.upper(), **options)
        return buffer.getvalue()


def input_of_file(data: bytes, spec: ImageInput) -> Tensor:
    """The bytes of a JPEG, WebP or PNG file from a stranger -> the network's input, float32 (1, 3, H, W).

    One of the input's very size, or of another that the network takes, is taken as the crop that it is; any other is a
    photo, to be resized and cropped.
    Raises ImageError for anything else, and above `MAX_PIXELS`.
    """
    try:
        image = decode_image(data, "the frame", max_pixels=MAX_PIXELS, formats=FORMATS)
        if not why_not(spec, (image.height, image.width)):
            return normalise(np.asarray(image), spec)
        return preprocess(image, spec)
    except MemoryError as error:
        raise ImageError("the frame needs more memory than there is") from error
