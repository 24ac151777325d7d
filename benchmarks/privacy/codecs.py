"""What crosses the wire: the features' codecs, by name in figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import featcodec
from benchmarks.fidelity.network import Network
from splitnet.edge.encoder import EdgeEncoder
from splitnet.errors import UsageError
from splitnet.models import preprocess, shipped
from splitnet.runtime import Array

PROFILES = Path(shipped.__file__).parent / "profiles" / "efficientnet-lite0"


@dataclass(frozen=True, slots=True)
class Codec:
    """Name in figures, words for people, spec."""

    name: str
    label: str
    spec: str

    @property
    def calibrated(self) -> bool:
        """Whether it needs the cut's profile."""
        return self.spec.startswith("transform")


def codec_of(text: str) -> Codec:
    """`none`, `affine4` or a step such as `1.5`. Raises UsageError."""
    if text == "none":
        return Codec("none", "untouched", "none|floats")
    if text.startswith("affine"):
        found = Codec(text, f"{text[6:]} bit", f"affine:bits={text[6:]}|ctx")
    else:
        found = Codec(f"step{text.replace('.', '_')}", f"step {text}", f"transform:step={text}|rans")
    try:
        featcodec.parse_spec(found.spec)
    except featcodec.SpecError as error:
        raise UsageError(f"--steps {text!r}: give none, affine2 to affine8, or a step such as 1.5 ({error})") from error
    return found


class Wire:
    """The features of one cut, and what is left of them behind each codec.

    `codecs` are those that were asked for, without calibrated ones where `profiles` has no profile of the cut;
    `lacking` says so then. Raises UsageError for a cut that the bundle lacks, or a profile that cannot be read.
    """

    def __init__(self, network: Network, cut: str, codecs: Sequence[Codec], profiles: Path) -> None:
        self.codecs, self.lacking = tuple(codecs), ""
        self._encoder = EdgeEncoder(network.bundle, cut, "none|raw")
        self._input = network.bundle.manifest.image_input
        self.shape = self._encoder.cut.shape
        self._profile: featcodec.TransformProfile | None = None
        if any(codec.calibrated for codec in codecs):
            path = profiles / f"{cut}.safetensors"
            if not path.is_file():
                self.codecs = tuple(codec for codec in codecs if not codec.calibrated)
                self.lacking = f"{cut}: no profile {path}, so no steps; splitnet calibrate makes one"
                return
            try:
                self._profile = featcodec.load_profile(path)
            except featcodec.FeatcodecError as error:
                raise UsageError(f"{path}: {error}") from error

    @property
    def fingerprint(self) -> str:
        """Of the profile, in hexadecimal; empty without one."""
        return "" if self._profile is None else self._profile.fingerprint.hex()

    def features(
        self, crops: Sequence[Array], advance: Callable[[], object] = lambda: None, dtype: type = np.float32
    ) -> Array:
        """Crops, uint8 (H, W, 3) -> features (N, C, h, w)."""
        found: Array = np.empty((len(crops), *self.shape), dtype)
        for index, one in enumerate(crops):
            found[index] = self._encoder.features(preprocess.normalise(one, self._input))[0]
            advance()
        return found

    def transmit(
        self, features: Array, codec: Codec, advance: Callable[[], object] = lambda: None
    ) -> tuple[Array, list[int]]:
        """Through frames and back: features of the same shape and type, and each frame's bytes."""
        profile = self._profile if codec.calibrated else None
        known = {} if profile is None else {profile.fingerprint: profile}
        found: Array = np.empty_like(features)
        sizes: list[int] = []
        for index, one in enumerate(features):
            frame = featcodec.encode(one[None].astype(np.float32), codec.spec, profile=profile)
            found[index] = featcodec.decode(frame, profiles=known)[0]
            sizes.append(len(frame))
            advance()
        return found, sizes
