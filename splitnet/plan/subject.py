"""The photos, or other inputs, that a profile is measured with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from splitnet.bundle.manifest import ImageInput, Input
from splitnet.bundle.verify import random_input
from splitnet.edge.sources import found_none, photos_below, spread
from splitnet.errors import UsageError
from splitnet.models import preprocess
from splitnet.models.samples import load_sample
from splitnet.plan.profile import Photos
from splitnet.runtime import Array

MAX_PHOTOS = 100
"""Taken from a folder, spread over it: more change medians and means little and take memory."""

RANDOM_PICTURES = 4


@dataclass(frozen=True)
class Subject:
    """Crops of N photos, uint8 (H, W, 3) each, and where they came from; no `files` for random pictures.

    For a network that takes no images, `crops` are its inputs, float32 (1, *shape) each.
    """

    image: Input
    crops: tuple[Array, ...]
    files: tuple[Path, ...] = ()

    @cached_property
    def inputs(self) -> tuple[Array, ...]:
        """The network's input for each, float32 (1, *shape)."""
        return tuple(self.normalise(index) for index in range(len(self.crops)))

    @property
    def photos(self) -> Photos:
        """What the profile says about them."""
        return Photos(count=len(self.crops), kind="photos" if self.files else "random")

    def prepare(self, index: int) -> Array:
        """Read and crop one file, as the device does for every photo."""
        return _crop(self.files[index], self.image)

    def normalise(self, index: int) -> Array:
        """From a crop to the network's input."""
        crop = self.crops[index]
        return preprocess.normalise(crop, self.image) if isinstance(self.image, ImageInput) else crop


def photo_subject(folder: Path, spec: Input) -> Subject:
    """At most `MAX_PHOTOS` of the photos, or ``.npy`` files for a network that takes no images, in `folder` and below.

    Raises
    ------
    UsageError
        if the folder cannot be read or holds none.
    ImageError, SampleError
        for one that cannot be read.
    """
    try:
        if not folder.is_dir():
            raise UsageError(f"--photos {folder} is not a folder")
        found = photos_below(folder, spec.kind)
    except OSError as error:
        raise UsageError(f"--photos {folder} cannot be read: {error.strerror or error}") from error
    if not found:
        raise UsageError(found_none("--photos", folder, spec.kind))
    files = tuple(spread(found, MAX_PHOTOS))
    return Subject(spec, tuple(_crop(file, spec) for file in files), files)


def random_subject(spec: Input) -> Subject:
    """Seeded random inputs: good for times of graphs, not for sizes of frames."""
    values = random_input(spec, RANDOM_PICTURES)
    if not isinstance(spec, ImageInput):
        return Subject(spec, tuple(values[index : index + 1] for index in range(RANDOM_PICTURES)))
    mean, std = (np.array(values).reshape(3, 1, 1) for values in (spec.mean, spec.std))
    pixels = np.rint(values * std + mean).clip(0, 255).astype(np.uint8)
    return Subject(spec, tuple(np.ascontiguousarray(one.transpose(1, 2, 0)) for one in pixels))


def _crop(file: Path, spec: Input) -> Array:
    if not isinstance(spec, ImageInput):
        return load_sample(file, spec)
    return preprocess.resize_and_crop(preprocess.load_image(file, short_side=spec.resize_short), spec)
