"""One cut: train the decoder, reconstruct what crossed the wire, and measure how much of the photos is back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
import torch

from benchmarks.fidelity.network import Network
from benchmarks.privacy.baselines import Ladder, within
from benchmarks.privacy.codecs import Codec, Wire
from benchmarks.privacy.decoder import Decoder
from benchmarks.privacy.kept import trained
from benchmarks.privacy.photos import large, small
from benchmarks.privacy.quality import psnr, retrieval, ssim
from benchmarks.privacy.training import reconstruct, train
from splitnet.runtime import Array

Advance = Callable[[str], object]
"""Called with what is done after each small piece of work."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How hard the attacker tries: views of a photo, steps of training, and of training on one codec's features."""

    views: int
    steps: int
    adapting: int


FULL, SHORT = Effort(3, 300, 60), Effort(2, 20, 5)


@dataclass(frozen=True, slots=True)
class Quality:
    """Means over photos: PSNR in dB, SSIM, and the shares with the original's top-1 and nearest to the original."""

    psnr_db: float
    ssim: float
    top1: float
    retrieval: float


@dataclass(frozen=True, slots=True)
class Leak:
    """One codec at one cut. `adapted`: the decoder was also trained on features behind this codec.

    `files` has PSNR and SSIM of image files of at most the frame's bytes, None where there are none so small;
    `profile` is the fingerprint of the profile used, if any.
    """

    cut: str
    codec: Codec
    adapted: bool
    size: float
    quality: Quality
    files: Mapping[str, tuple[float, float] | None]
    profile: str = ""

    @property
    def figure(self) -> str:
        """Stem of its figures' names."""
        return f"privacy.{self.cut}.{self.codec.name}" + "_adapted" * self.adapted


@dataclass(frozen=True)
class Subjects:
    """Crops to learn from (the first `centres` are centre crops), to test on, to show; answers to the tests."""

    views: Sequence[Array]
    centres: int
    tests: Sequence[Array]
    shown: Sequence[Array]
    top1: Sequence[int]
    ladders: Mapping[str, Ladder]


def judge(network: Network, subjects: Subjects, found: Sequence[Array]) -> Quality:
    """Reconstructions uint8 (112, 112, 3), one for each test crop, beside their originals."""
    originals = [small(one) for one in subjects.tests]
    spec = network.bundle.manifest.image_input
    answers = [int(network.unsplit(large(one, spec)).log_p.argmax()) for one in found]
    return Quality(
        mean(psnr(a, b) for a, b in zip(originals, found, strict=True)),
        mean(ssim(a, b) for a, b in zip(originals, found, strict=True)),
        float(np.mean(np.array(answers) == np.array(subjects.top1))),
        float(retrieval(originals, found).mean()),
    )


def attack(
    network: Network,
    wire: Wire,
    cut: str,
    subjects: Subjects,
    effort: Effort,
    seed: int,
    keep: Path,
    advance: Advance,
) -> tuple[list[Leak], dict[str, list[Array]]]:
    """Every codec at one cut: what leaks, and by codec's name reconstructions of the photos to show.

    Trained decoders are kept in the folder `keep`. The last calibrated codec is also attacked by a decoder that went on
    learning from features behind that codec.
    """
    pictures = np.stack([small(one).transpose(2, 0, 1) for one in subjects.views])
    learned = wire.features(subjects.views, lambda: advance(f"{cut}: features"), np.float16)
    tests, shown = wire.features(subjects.tests), wire.features(subjects.shown)
    torch.manual_seed(seed)
    decoder = Decoder(wire.shape[0], wire.shape[1])

    def fit() -> None:
        decoder.solve(learned[: subjects.centres], pictures[: subjects.centres])
        train(decoder, learned, pictures, effort.steps, seed, advance=lambda: advance(f"{cut}: training"))

    trained(decoder, learned, pictures, (effort.steps, subjects.centres, seed), keep, fit)
    leaks: list[Leak] = []
    seen: dict[str, list[Array]] = {}

    def test(codec: Codec, adapted: bool) -> None:
        received, sizes = wire.transmit(tests, codec)
        quality = judge(network, subjects, reconstruct(decoder, received))
        files = {kind: within(ladder, sizes) for kind, ladder in subjects.ladders.items()}
        leak = Leak(cut, codec, adapted, mean(sizes), quality, files, wire.fingerprint * codec.calibrated)
        leaks.append(leak)
        if len(shown):
            seen[leak.figure] = reconstruct(decoder, wire.transmit(shown, codec)[0])
        advance(f"{cut}: {codec.label}")

    for codec in wire.codecs:
        test(codec, False)
    calibrated = [codec for codec in wire.codecs if codec.calibrated]
    if calibrated:
        # Two views of a photo: coding all of them takes longer than learning from them.
        count = min(len(learned), 2 * subjects.centres)
        received, _ = wire.transmit(learned[:count], calibrated[-1], lambda: advance(f"{cut}: frames to learn from"))

        def adapt() -> None:
            steps = effort.adapting
            train(decoder, received, pictures[:count], steps, seed + 1, 1e-3, lambda: advance(f"{cut}: adapting"))

        trained(decoder, received, pictures[:count], (effort, seed), keep, adapt)
        test(calibrated[-1], True)
    return leaks, seen
