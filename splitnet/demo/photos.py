"""The demo's photos: 20 labelled ImageNet photos that the package `foolbox` carries (MIT)."""

from __future__ import annotations

import importlib.util
import io
import re
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from splitnet.bundle.manifest import ImageInput
from splitnet.errors import UsageError
from splitnet.models import preprocess
from splitnet.runtime import Array

_NAME = re.compile(r"imagenet_(\d+)_(\d+)\.jpg")


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """A photo's path and the ImageNet index of what it shows."""

    path: Path
    label: int


def labelled_photos() -> list[LabelledPhoto]:
    """The 20 photos in order; found without importing foolbox. Raises UsageError where it is not installed."""
    spec = importlib.util.find_spec("foolbox")
    if spec is None or not spec.submodule_search_locations:
        raise UsageError("the demo's photos come with foolbox; pip install 'splitnet[demo]'")
    folder = Path(spec.submodule_search_locations[0]) / "data"
    matches = [(path, _NAME.fullmatch(path.name)) for path in sorted(folder.glob("imagenet_*.jpg"))]
    found = [LabelledPhoto(path, int(match[2])) for path, match in matches if match]
    if not found:
        raise UsageError(f"foolbox's photos are missing in {folder}; reinstall foolbox==3.3.4")
    return found


def crop(photo: LabelledPhoto, spec: ImageInput) -> Array:
    """The pixels that the network sees: uint8 (H, W, 3)."""
    return preprocess.resize_and_crop(preprocess.load_image(photo.path), spec)


def image_bytes(pixels: Array, kind: str, **options: int | bool) -> int:
    """Size of the crop as an image file, in bytes."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.tell()
