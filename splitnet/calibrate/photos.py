"""The photos, or other inputs, that a calibration runs on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from splitnet.bundle.manifest import ImageInput, Input
from splitnet.edge.sources import Kind, noun, photos_below
from splitnet.errors import UsageError
from splitnet.models import preprocess
from splitnet.models.samples import load_sample

Array = np.ndarray[Any, np.dtype[Any]]

MIN_PER_FOLD = 4
"""Photos in each fold: with fewer, the curve's intervals say nothing."""


def find_photos(folder: Path, folds: int, kind: Kind = "image") -> tuple[Path, ...]:
    """The photos (``.npy`` files for a network that takes no images) in `folder` and below, sorted by path; photo i is
    of fold i mod `folds`.

    Raises
    ------
    UsageError
        if the folder cannot be read or holds too few photos: says how many are needed.
    """
    needed = MIN_PER_FOLD * folds
    try:
        if not folder.is_dir():
            raise UsageError(f"--data {folder} is not a folder; give one with at least {needed} {noun(kind)}")
        found = tuple(photos_below(folder, kind))
    except OSError as error:
        raise UsageError(f"--data {folder} cannot be read: {error.strerror or error}") from error
    if len(found) < needed:
        raise UsageError(
            f"--data {folder} holds {len(found)} {noun(kind)}; calibration needs at least {needed} ({folds} folds of"
            f" {MIN_PER_FOLD}), and some hundreds for a good profile"
        )
    return found


def load_inputs(photos: Sequence[Path], spec: Input) -> Array:
    """The network's input for some photos (or ``.npy`` files), float32 (N, *shape).

    Raises ImageError or SampleError that names the file.
    """
    if not isinstance(spec, ImageInput):
        return np.concatenate([load_sample(path, spec) for path in photos])
    pixels = [preprocess.resize_and_crop(preprocess.load_image(photo), spec) for photo in photos]
    return np.concatenate([preprocess.normalise(one, spec) for one in pixels])


class Distinct:
    """Counts photos that differ after preprocessing, so that a folder of copies does not pass for data."""

    def __init__(self) -> None:
        self._seen: set[bytes] = set()

    def add(self, inputs: Array) -> None:
        """Take note of inputs (N, *shape)."""
        self._seen.update(hashlib.sha256(one.tobytes()).digest() for one in inputs)

    def check(self, total: int, folds: int) -> None:
        """Raise UsageError if too few of `total` photos differ."""
        needed = MIN_PER_FOLD * folds
        if len(self._seen) < needed:
            raise UsageError(
                f"only {len(self._seen)} of the {total} photos differ; calibration needs at least {needed} that do"
            )


Advance = Callable[[str, int, int], None]
"""Called with the step's name, how much of it is done, and how much there is."""
