"""What makes the figures mean something: the mean photo, and image files of as many bytes as a frame."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

import numpy as np
from PIL import Image, features

from benchmarks.privacy.quality import psnr, ssim
from splitnet.runtime import Array

QUALITIES = (1, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 65, 70, 75, 80, 85, 90, 95)
FORMATS: dict[str, dict[str, Any]] = {
    "jpeg": {"optimize": True, "progressive": True},
    "avif": {"speed": 8, "max_threads": 1},
}


@dataclass(frozen=True, slots=True)
class Coded:
    """One photo as an image file: bytes, PSNR in dB, SSIM."""

    size: int
    psnr: float
    ssim: float


Ladder = tuple[tuple[Coded, ...], ...]
"""For each photo, its files at every quality."""


def mean_photo(pictures: Array) -> Array:
    """Mean of uint8 (N, 3, 112, 112) -> uint8 (112, 112, 3): the best guess without any features."""
    found: Array = pictures.mean(0).round().astype(np.uint8).transpose(1, 2, 0)
    return found


def ladders(pictures: Sequence[Array], advance: Callable[[], object] = lambda: None) -> dict[str, Ladder]:
    """Files of pictures (112, 112, 3) by format; without AVIF where Pillow has none."""
    found: dict[str, Ladder] = {}
    for kind in FORMATS:
        if kind == "avif" and not features.check("avif"):
            continue
        rows = []
        for one in pictures:
            rows.append(tuple(_coded(one, kind, quality) for quality in QUALITIES))
            advance()
        found[kind] = tuple(rows)
    return found


def within(ladder: Ladder, sizes: Sequence[int]) -> tuple[float, float] | None:
    """Mean PSNR and SSIM of each photo's best file of at most so many bytes; None where one has no file so small."""
    best = []
    for files, size in zip(ladder, sizes, strict=True):
        fitting = [one for one in files if one.size <= size]
        if not fitting:
            return None
        best.append(max(fitting, key=lambda one: one.psnr))
    return mean(one.psnr for one in best), mean(one.ssim for one in best)


def _coded(pixels: Array, kind: str, quality: int) -> Coded:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, quality=quality, **FORMATS[kind])
    back = np.asarray(Image.open(buffer).convert("RGB"))
    return Coded(buffer.tell(), psnr(pixels, back), ssim(pixels, back))
