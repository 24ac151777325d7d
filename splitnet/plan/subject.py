"""The photos that a profile is measured with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from splitnet.bundle.manifest import ImageInput
from splitnet.bundle.verify import random_input
from splitnet.edge.sources import SUFFIXES, photos_below, spread
from splitnet.errors import UsageError
from splitnet.models import preprocess
from splitnet.plan.profile import Photos
from splitnet.runtime import Array

MAX_PHOTOS = 100
"""Taken from a folder, spread over it: more change medians and means little and take memory."""

RANDOM_PICTURES = 4


@dataclass(frozen=True)
class Subject:
    """Crops of N photos, uint8 (H, W, 3) each, and where they came from; no `files` for random pictures."""

    image: ImageInput
    crops: tuple[Array, ...]
    files: tuple[Path, ...] = ()

    @cached_property
    def inputs(self) -> tuple[Array, ...]:
        """The network's input for each, float32 (1, 3, H, W)."""
        return tuple(preprocess.normalise(crop, self.image) for crop in self.crops)

    @property
    def photos(self) -> Photos:
        """What the profile says about them."""
        return Photos(count=len(self.crops), kind="photos" if self.files else "random")

    def prepare(self, index: int) -> Array:
        """Read and crop one file, as the device does for every photo."""
        return _crop(self.files[index], self.image)


def photo_subject(folder: Path, image: ImageInput) -> Subject:
    """At most `MAX_PHOTOS` of the photos in `folder` and below.

    Raises
    ------
    UsageError
        if the folder cannot be read or holds none.
    ImageError
        for a photo that cannot be read.
    """
    try:
        if not folder.is_dir():
            raise UsageError(f"--photos {folder} is not a folder")
        found = photos_below(folder)
    except OSError as error:
        raise UsageError(f"--photos {folder} cannot be read: {error.strerror or error}") from error
    if not found:
        raise UsageError(f"--photos {folder} holds no photos ({', '.join(sorted(SUFFIXES))})")
    files = tuple(spread(found, MAX_PHOTOS))
    return Subject(image, tuple(_crop(file, image) for file in files), files)


def random_subject(image: ImageInput) -> Subject:
    """Seeded random pictures: good for times of graphs, not for sizes of frames."""
    mean, std = (np.array(values).reshape(3, 1, 1) for values in (image.mean, image.std))
    pixels = np.rint(random_input(image, RANDOM_PICTURES) * std + mean).clip(0, 255).astype(np.uint8)
    return Subject(image, tuple(np.ascontiguousarray(one.transpose(1, 2, 0)) for one in pixels))


def _crop(file: Path, image: ImageInput) -> Array:
    return preprocess.resize_and_crop(preprocess.load_image(file, short_side=image.resize_short), image)
