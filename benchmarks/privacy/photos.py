"""The photos: what the decoder learns from, what it is tested on, and what the published picture shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.privacy.decoder import SIDE
from splitnet.bundle.manifest import ImageInput
from splitnet.edge.sources import SUFFIXES
from splitnet.errors import UsageError
from splitnet.models import preprocess
from splitnet.runtime import Array

FOLDS = 5
"""Photo i is tested on where i mod 5 is 0, and learned from elsewhere."""

LEAST = 20
SHOWN = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")
"""Of scikit-image: NASA's portrait of Eileen Collins (public domain), three photos that are CC0."""


@dataclass(frozen=True, slots=True)
class Split:
    """Crops as the network sees them, uint8 (H, W, 3): `views` several of each photo to learn from, `tests` one."""

    views: tuple[Array, ...]
    tests: tuple[Array, ...]
    centres: int
    """The first so many of `views` are the centre crops, as of the tests."""


def find(data: Path, limit: int | None) -> list[Path]:
    """The photos of a folder, in order. Raises UsageError where there are none, or too few."""
    if not data.is_dir():
        raise UsageError(
            f"--data {data} is not a folder; give one with photos, some hundreds for figures that mean much"
        )
    found = sorted(one for one in data.iterdir() if one.suffix.lower() in SUFFIXES)[:limit]
    if len(found) < LEAST:
        raise UsageError(f"--data {data} holds {len(found)} photos; at least {LEAST} are needed to learn and test")
    return found


def split(
    paths: Sequence[Path], spec: ImageInput, views: int, seed: int, advance: Callable[[], object] = lambda: None
) -> Split:
    """Decode and crop.

    The first view of a photo is the centre crop, the second that mirrored, the others are random squares of 75 to
    100 % of the short side (the centre crop's is 87.5 %), mirrored or not. Raises ImageError.
    """
    random = np.random.default_rng(seed)
    rounds: list[list[Array]] = [[] for _ in range(views)]
    tests = []
    for row, path in enumerate(paths):
        image = preprocess.load_image(path)
        centre = preprocess.resize_and_crop(image, spec)
        if row % FOLDS == 0:
            tests.append(centre)
        else:
            seen = [centre, centre[:, ::-1], *(_random_crop(image, spec, random) for _ in range(views - 2))]
            for kept, one in zip(rounds, seen, strict=False):
                kept.append(np.ascontiguousarray(one))
        advance()
    return Split(tuple(one for kept in rounds for one in kept), tuple(tests), len(rounds[0]))


def shown(spec: ImageInput) -> tuple[Array, ...]:
    """Crops of freely licensed photos that no decoder learned from; none where scikit-image is not installed."""
    package = find_spec("skimage")
    if package is None or not package.submodule_search_locations:
        return ()
    folder = Path(package.submodule_search_locations[0]) / "data"
    return tuple(preprocess.resize_and_crop(preprocess.load_image(folder / name), spec) for name in SHOWN)


def small(pixels: Array) -> Array:
    """What a reconstruction is compared with: the crop reduced to 112x112 by means of squares, uint8."""
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.BOX))


def large(pixels: Array, spec: ImageInput) -> Array:
    """A reconstruction at the size of the network's input, bicubic, uint8."""
    return np.asarray(Image.fromarray(pixels).resize((spec.width, spec.height), Image.Resampling.BICUBIC))


def _random_crop(image: Image.Image, spec: ImageInput, random: np.random.Generator) -> Array:
    side = min(image.size) * random.uniform(0.75, 1.0)
    left, top = (random.uniform(0, whole - side) for whole in image.size)
    box = (left, top, left + side, top + side)
    found = np.asarray(image.resize((spec.width, spec.height), Image.Resampling.BICUBIC, box=box))
    return found[:, ::-1] if random.integers(2) else found
