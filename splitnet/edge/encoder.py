"""The edge half of one cut: photo -> network input -> features -> frame."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import featcodec
from splitnet.bundle import Bundle
from splitnet.bundle.manifest import Cut
from splitnet.edge.trace import Prepared
from splitnet.errors import BundleError, ImageError, UsageError
from splitnet.models import preprocess
from splitnet.runtime import Array
from splitnet.runtime.bundled import load_graph

DEFAULT_CODEC = "affine:bits=8|zstd:level=3"

Photo = str | Path | bytes | Image.Image | Array
"""A path, the bytes of a photo's file, a Pillow image, or uint8 pixels of shape (H, W, 3) in RGB."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """A frame and the seconds that it took."""

    frame: bytes
    times: Prepared


def default_cut(bundle: Bundle) -> str:
    """The built cut with the fewest values; of several, the one that leaves least to the device."""
    return min(bundle.manifest.built_cuts, key=lambda cut: (cut.values, cut.macs_before)).name


class EdgeEncoder:
    """Loads the edge graph of one cut and turns photos into frames.

    Raises
    ------
    UsageError
        if the bundle lacks the cut or the codec's spec is wrong.
    BundleError
        if the edge graph is missing or altered.
    """

    def __init__(self, bundle: Bundle, cut: str = "", codec: str = DEFAULT_CODEC, *, threads: int = 1) -> None:
        self.bundle = bundle
        self.cut: Cut = bundle.cut(cut or default_cut(bundle))
        self.spec = parse_codec(codec)
        if self.cut.edge is None:
            raise BundleError(f"cut {self.cut.name} has no edge graph in {bundle.path}")
        self._graph = load_graph(bundle, self.cut.edge, threads=threads)
        self._input = self._graph.inputs[0].name

    def features(self, tensor: Array) -> Array:
        """Run the first layers: (1, 3, H, W) float32 -> (1, *cut.shape)."""
        return self._graph.run({self._input: tensor})[0]

    def encode(self, photo: Photo) -> Encoded:
        """Photo -> frame.

        Raises
        ------
        ImageError
            if the photo cannot be read or makes the network produce NaN.
        """
        spec = self.bundle.manifest.input
        t0 = time.perf_counter()
        try:
            pixels = preprocess.resize_and_crop(as_image(photo, spec.resize_short), spec)
        except MemoryError as error:
            raise ImageError("a photo needs more memory than there is; make it smaller") from error
        t1 = time.perf_counter()
        tensor = preprocess.normalise(pixels, spec)
        t2 = time.perf_counter()
        features = self.features(tensor)
        t3 = time.perf_counter()
        frame = self.compress(features)
        t4 = time.perf_counter()
        return Encoded(frame, Prepared(t1 - t0, t2 - t1, t3 - t2, t4 - t3))

    def compress(self, features: Array) -> bytes:
        """Features (1, *cut.shape) -> frame. Raises ImageError where the codec cannot take them (NaN)."""
        try:
            return featcodec.encode(features, self.spec)
        except featcodec.FeatcodecError as error:
            raise ImageError(f"codec {self.spec} cannot take the features of cut {self.cut.name}: {error}") from error


def parse_codec(spec: str) -> featcodec.Spec:
    """A codec's spec. Raises UsageError."""
    try:
        return featcodec.parse_spec(spec)
    except featcodec.SpecError as error:
        raise UsageError(f"codec {spec!r}: {error}") from error


def stage_names(spec: featcodec.Spec) -> tuple[str, ...]:
    """Names of the stages that a decoder of this spec needs."""
    stages = (spec.quantiser, spec.coder, spec.byte_coder)
    return tuple(stage.name for stage in stages if stage is not None)


def as_image(photo: Photo, short_side: int | None = None) -> Image.Image:
    """Open a path or bytes, wrap pixels, bring an image to RGB as its file would be. Raises ImageError."""
    if isinstance(photo, str | Path):
        return preprocess.load_image(Path(photo), short_side=short_side)
    if isinstance(photo, bytes):
        return preprocess.decode_image(photo, short_side=short_side)
    if isinstance(photo, np.ndarray):
        if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or 0 in photo.shape:
            raise ImageError(f"pixels are {photo.dtype} {photo.shape}; give uint8 of shape (H, W, 3) in RGB")
        return Image.fromarray(photo)
    return preprocess.from_pillow(photo)
