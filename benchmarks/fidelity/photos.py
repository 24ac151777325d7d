"""The photos measured: what the network sees of them, and their labels."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from splitnet.bundle.manifest import ImageInput
from splitnet.demo.photos import labelled_photos
from splitnet.edge.sources import photos
from splitnet.errors import UsageError
from splitnet.models import preprocess
from splitnet.runtime import Array

LABELS = "labels.csv"


@dataclass(frozen=True, slots=True)
class Photo:
    """A path, and the index of the class that it shows where that is known."""

    path: Path
    label: int | None = None


@dataclass(frozen=True, slots=True)
class Crops:
    """What the network sees, uint8 (H, W, 3) each: resized and cropped, before normalisation.

    A photo's row is its place in the set that was asked for, which a subset keeps: cross-fitted codecs choose by it.
    """

    pixels: tuple[Array, ...]
    rows: tuple[int, ...]
    labels: tuple[int | None, ...]

    def __len__(self) -> int:
        return len(self.pixels)

    def subset(self, count: int) -> Crops:
        """`count` of them, evenly spaced; all where there are fewer."""
        if count >= len(self):
            return self
        places = [index * len(self) // count for index in range(count)]
        return Crops(
            tuple(self.pixels[index] for index in places),
            tuple(self.rows[index] for index in places),
            tuple(self.labels[index] for index in places),
        )


def find_photos(data: Path | None, limit: int | None) -> list[Photo]:
    """The first `limit` photos of a folder, with the labels of its labels.csv; the demo's 20 without a folder.

    labels.csv has the columns `file` and `imagenet_index` (0 to 999). Raises UsageError.
    """
    if data is None:
        found = [Photo(one.path, one.label) for one in labelled_photos()]
    else:
        if not data.is_dir():
            raise UsageError(f"--data {data} is not a folder")
        labels = _labels(data / LABELS)
        found = [Photo(path, labels.get(path.name)) for path in photos([str(data)])]
    return found[:limit]


def load_crops(found: Sequence[Photo], spec: ImageInput) -> Crops:
    """Decode, resize and crop. Raises ImageError."""
    pixels = tuple(preprocess.resize_and_crop(preprocess.load_image(photo.path), spec) for photo in found)
    return Crops(pixels, tuple(range(len(found))), tuple(photo.label for photo in found))


def _labels(path: Path) -> dict[str, int]:
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as stream:
        try:
            return {row["file"]: int(row["imagenet_index"]) for row in csv.DictReader(stream)}
        except (KeyError, ValueError) as error:
            raise UsageError(f"{path}: needs columns file and imagenet_index (0-999): {error}") from error
