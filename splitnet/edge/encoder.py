"""The edge half of one cut: photo -> network input -> features or symbols -> frame."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

import featcodec
from featcodec.quantisers.transform import Transform
from splitnet.bundle import Bundle
from splitnet.bundle.manifest import Cut, ImageInput, Input
from splitnet.bundle.sizes import resized
from splitnet.edge.halves import PlainHalf, TransformHalf, Values, half_for, step_of, with_step
from splitnet.edge.trace import Prepared
from splitnet.errors import ImageError, SampleError, UsageError
from splitnet.models import preprocess
from splitnet.models.image_codec import ImageCodec
from splitnet.models.samples import load_sample
from splitnet.runtime import Array

PLAIN_CODEC = "affine:bits=8|zstd:level=3"
"""The codec of a cut without a calibrated transform, where nobody names one."""

Photo = str | Path | bytes | Image.Image | Array
"""A path, the bytes of a photo's file, a Pillow image, or uint8 pixels of shape (H, W, 3) in RGB.

For a network that takes no images: a path of a ``.npy`` file, the bytes of one, or an array, see
`splitnet.models.samples`."""


class Ready:
    """An input that was read: the crop (H, W, 3) of a photo, or what a network without images takes.

    `photo` and `normalise` are the seconds that it took; normalising waits until somebody needs it.
    """

    def __init__(self, wanted: Input, values: preprocess.Pixels | Array, photo: float = 0.0) -> None:
        self._wanted, self._values, self._tensor = wanted, values, None if isinstance(wanted, ImageInput) else values
        self.photo, self.normalise = photo, 0.0

    @property
    def pixels(self) -> preprocess.Pixels:
        """The crop of a photo, uint8 (H, W, 3)."""
        return self._values

    @property
    def tensor(self) -> Array:
        """What the network takes, float32 (1, ...)."""
        if self._tensor is None:
            assert isinstance(self._wanted, ImageInput)
            started = time.perf_counter()
            self._tensor = preprocess.normalise(self._values, self._wanted)
            self.normalise = time.perf_counter() - started
        return self._tensor


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A frame, the seconds that it took, and the features or symbols in it; none of an image file."""

    frame: bytes
    times: Prepared
    values: Values = ()


def default_cut(bundle: Bundle) -> str:
    """The built cut with the fewest values; of several a calibrated one, then the one with least work on the edge."""
    return min(bundle.manifest.built_cuts, key=lambda cut: (cut.values, cut.transform is None, cut.macs_before)).name


def default_codec(cut: Cut) -> str:
    """The cut's calibrated transform at its default step, or `PLAIN_CODEC` where it has none."""
    return PLAIN_CODEC if cut.transform is None else f"transform:step={cut.transform.step!r}|rans"


class EdgeEncoder:
    """Loads the edge graph of one cut, the one that the codec needs, and turns photos into frames.

    `cut` is by default the one with the fewest values, `codec` the cut's own, see `default_codec`. At the cut `input`,
    where the whole network is in the cloud, it may be an image format (`splitnet.models.image_codec`).

    `size` is the (height, width) in pixels that photos get, the bundle's nominal one by default; at another the default
    codec is `PLAIN_CODEC`. `input` says how a photo becomes the network's input there.

    Raises
    ------
    UsageError
        if the bundle lacks the cut, the codec's spec is wrong, or it is a transform and the cut has no profile; if the
        bundle does not take images of `size`, or the codec is a transform, which is calibrated for the nominal one.
    BundleError
        if a file is missing or altered, or graph and profile do not fit.
    """

    def __init__(
        self,
        bundle: Bundle,
        cut: str = "",
        codec: str | None = None,
        *,
        threads: int = 1,
        size: tuple[int, int] | None = None,
    ) -> None:
        self.bundle = bundle
        self.cut: Cut = bundle.cut(cut or default_cut(bundle))
        self.image = ImageCodec.parse(codec or "")
        if self.image is not None and not bundle.manifest.is_input(self.cut):
            raise UsageError(f"codec {codec!r} is for photos, at the cut input; cut {self.cut.name} sends features")
        self.input = spec = bundle.manifest.input if size is None else resized(bundle.manifest.image_input, size)
        other = spec != bundle.manifest.input
        if self.image is not None and not isinstance(spec, ImageInput):
            raise UsageError(
                f"codec {codec!r} is for photos; {bundle.manifest.name} takes float32 {spec.shape}: none|shuffle|zstd"
                " keeps every value"
            )
        default = PLAIN_CODEC if other or self.image is not None else default_codec(self.cut)
        self.spec = parse_codec(default if self.image is not None else codec or default)
        if other and isinstance(self.spec.quantiser, Transform):
            nominal = bundle.manifest.image_input
            raise UsageError(
                f"codec {codec!r} is calibrated for {nominal.height}x{nominal.width}; use that size, or a codec such as"
                f" {PLAIN_CODEC}"
            )
        self._threads = threads
        self._half = half_for(bundle, self.cut, self.spec, threads)
        self._plain = self._half if isinstance(self._half, PlainHalf) else None

    @property
    def codec(self) -> str:
        """What is in use, as it is written."""
        return str(self.spec if self.image is None else self.image)

    @property
    def stages(self) -> tuple[str, ...]:
        """Names of the codec's stages that a decoder needs; none for image files."""
        return stage_names(self.spec) if self.image is None else ()

    @property
    def step(self) -> float:
        """Step of the transform, in standard deviations of the features; the next photo uses what is set here.

        Setting it loads nothing. Raises UsageError where the codec is no transform, or for a step out of range.
        """
        return step_of(self.spec)

    @step.setter
    def step(self, step: float) -> None:
        self.spec = with_step(self.spec, step)

    def features(self, tensor: Array) -> Array:
        """Run the first layers: the network's input (1, ...) float32 -> (1, *cut.shape), whatever the codec.

        With a transform, which needs no feature maps, this loads the plain graph when it is first called. Raises
        UsageError at a cut of several tensors, for which there is `crossing`.
        """
        if self.cut.more:
            raise UsageError(f"cut {self.cut.name} has {len(self.cut.crossing)} tensors: call crossing()")
        return self.crossing(tensor)[0]

    def crossing(self, tensor: Array) -> tuple[Array, ...]:
        """As `features`, with every tensor that crosses: (1, *shape) each, in the order of `cut.crossing`."""
        if self._plain is None:
            self._plain = PlainHalf(self.bundle, self.cut, self._threads)
        return self._plain.run(tensor)

    def encode(self, photo: Photo) -> Encoded:
        """Photo, or other input -> frame.

        Raises
        ------
        ImageError
            if the photo cannot be read, or the codec cannot take what the network makes of it: NaN, or symbols beyond
            int16 at too small a step.
        SampleError
            if an input that is no photo cannot be read, is not what the network takes, or cannot be coded as above.
        """
        return self.encode_ready(prepare(photo, self.input))

    def encode_ready(self, ready: Ready) -> Encoded:
        """What `prepare` made of an input -> frame. Raises as `encode`."""
        spec = self.spec
        if self.image is not None:
            started = time.perf_counter()
            file = self.image.encode(ready.pixels)
            return Encoded(file, Prepared(ready.photo, 0.0, 0.0, time.perf_counter() - started))
        tensor, started = ready.tensor, time.perf_counter()
        try:
            values = self._half.run(tensor, spec)
        except ImageError as error:
            raise self._unusable(str(error)) from error
        ran = time.perf_counter()
        try:
            frame = self._half.frame(values, spec)
        except featcodec.FeatcodecError as error:
            raise self._refusal(spec, error) from error
        times = Prepared(ready.photo, ready.normalise, ran - started, time.perf_counter() - ran)
        return Encoded(frame, times, values)

    def compress(self, features: Array | Sequence[Array]) -> bytes:
        """Features (1, *cut.shape) -> frame; all tensors at a cut of several.

        Raises ImageError (SampleError where the network takes no images) where the codec cannot take them (NaN).

        With a transform the host computes what the graph of `encode` does; symbols may differ where one is a tie.
        """
        profile = self._half.profile if isinstance(self._half, TransformHalf) else None
        try:
            several = (features,) if isinstance(features, np.ndarray) else features
            return featcodec.encode_many(several, self.spec, profile=profile)
        except featcodec.FeatcodecError as error:
            raise self._refusal(self.spec, error) from error

    def _refusal(self, spec: featcodec.Spec, error: featcodec.FeatcodecError) -> ImageError | SampleError:
        return self._unusable(f"codec {spec} cannot take the features of cut {self.cut.name}: {error}")

    def _unusable(self, message: str) -> ImageError | SampleError:
        """What is raised for an input that is readable and yet of no use."""
        return (ImageError if isinstance(self.bundle.manifest.input, ImageInput) else SampleError)(message)


def prepare(photo: Photo | Ready, wanted: Input) -> Ready:
    """Read an input; one that was read already stays as it is. Raises ImageError, SampleError."""
    if isinstance(photo, Ready):
        return photo
    started = time.perf_counter()
    values = _crop(photo, wanted) if isinstance(wanted, ImageInput) else load_sample(photo, wanted)
    return Ready(wanted, values, time.perf_counter() - started)


def _crop(photo: Photo, spec: ImageInput) -> preprocess.Pixels:
    try:
        return preprocess.resize_and_crop(as_image(photo, spec.resize_short), spec)
    except MemoryError as error:
        raise ImageError("a photo needs more memory than there is; make it smaller") from error


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
