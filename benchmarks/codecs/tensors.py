"""Whose feature maps: a bundle's cuts over photos, or anyone's `.npy`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import featcodec
from splitnet.bundle import Bundle
from splitnet.calibrate.photos import load_inputs
from splitnet.edge.encoder import EdgeEncoder
from splitnet.edge.sources import photos
from splitnet.errors import UsageError
from splitnet.runtime import Array

BITS = (8, 6, 4)


@dataclass(frozen=True, slots=True)
class Maps:
    """Feature maps of one tensor of a network: arrays of shape (C, H, W), all of one dtype.

    `kind` is "float32", or "affine8" and so on for symbols in uint8.
    """

    tensor: str
    kind: str
    arrays: tuple[Array, ...]

    @property
    def values(self) -> int:
        """Number of values in all arrays."""
        return sum(array.size for array in self.arrays)


def from_bundle(directory: Path, cuts: Sequence[str], sources: Sequence[str], limit: int) -> Iterator[Maps]:
    """Features of the first `limit` photos at each cut (all built cuts when empty).

    Raises
    ------
    UsageError, BundleError, ImageError, SampleError
    """
    bundle = Bundle.load(directory)
    spec = bundle.manifest.input
    paths = list(photos(sources, kind=spec.kind))[:limit]
    tensors = [load_inputs([path], spec) for path in paths]
    for cut in cuts or [one.name for one in bundle.manifest.built_cuts if not one.more]:
        encoder = EdgeEncoder(bundle, cut)
        yield Maps(cut, "float32", tuple(encoder.features(tensor)[0] for tensor in tensors))


def from_file(path: Path) -> Maps:
    """A `.npy` of shape (C, H, W) or (N, C, H, W). Raises UsageError."""
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"--features {path}: {error}") from error
    if values.ndim not in (3, 4) or values.dtype.kind != "f" or not values.size:
        raise UsageError(
            f"--features {path} holds {values.dtype} {values.shape}; give floats (C, H, W) or (N, C, H, W)"
        )
    stacked = values.astype(np.float32, copy=False).reshape(-1, *values.shape[-3:])
    return Maps(path.stem, "float32", tuple(np.ascontiguousarray(one) for one in stacked))


def with_symbols(maps: Maps) -> Iterator[Maps]:
    """The maps as they are, then as 8, 6 and 4 bit affine symbols (per tensor)."""
    yield maps
    for bits in BITS:
        quantiser = featcodec.parse_spec(f"affine:bits={bits}|raw").quantiser
        yield Maps(maps.tensor, f"affine{bits}", tuple(quantiser.quantise(array, None)[0] for array in maps.arrays))


def tiled(array: Array, columns: int = 0) -> Array:
    """Channels (C, H, W) side by side in one grey picture, as near to a square as whole channels allow.

    `columns` is the number of tiles in a row where something else is wanted.
    """
    channels, height, width = array.shape
    columns = columns or max(1, round((channels * height / width) ** 0.5))
    rows = -(-channels // columns)
    padded = np.zeros((rows * columns, height, width), array.dtype)
    padded[:channels] = array
    return np.ascontiguousarray(
        padded.reshape(rows, columns, height, width).swapaxes(1, 2).reshape(rows * height, columns * width)
    )


def divisor(shape: tuple[int, ...]) -> int:
    """Tiles in a row: the divisor of C that makes the picture most nearly square, so that no tile is empty."""
    channels, height, width = shape
    divisors = [n for n in range(1, channels + 1) if channels % n == 0]
    return min(divisors, key=lambda n: abs(np.log(n * width / (channels // n * height))))


def untiled(picture: Array, shape: tuple[int, int, int]) -> Array:
    """The inverse of `tiled`."""
    channels, height, width = shape
    columns = picture.shape[1] // width
    rows = picture.shape[0] // height
    split = picture.reshape(rows, height, columns, width).swapaxes(1, 2)
    return np.ascontiguousarray(split.reshape(rows * columns, height, width)[:channels])
