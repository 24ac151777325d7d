"""Features as video, which is what the anchors of MPEG's feature coding do: x265 and VVC, intra only.

The channels are laid side by side in one grey picture, the photo's minimum and maximum become 0 and 1023, and the
picture is a frame of 4:0:0 video at 10 bits (VVC: 4:2:0 with constant chroma, because the program's wrapper takes
nothing else; a constant plane costs a few bytes). All photos are one stream a QP, every frame a key frame that
carries its own parameter sets, so that each could be cut out and decoded alone. A photo's bytes are those of its
whole access unit, parameter sets included, encoder's notes (SEI) and delimiters switched off, and 8 bytes of two
float32: minimum and maximum. The number of channels and the QP are left to an agreement, which favours these rows.

Perceptual tuning (adaptive quantisation, psycho-visual rate distortion) is off: features are not looked at.

Both encoders are ffmpeg's, an external program: see `benchmarks.ffmpeg`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import ffmpeg
from benchmarks.codecs.tensors import divisor, tiled, untiled
from benchmarks.fidelity.methods import AnyMethod, Coded, Missing
from splitnet.errors import UsageError
from splitnet.runtime import Array

X265_QPS = ("30", "33", "35", "37", "39", "41")
VVC_QPS = ("28", "31", "34", "37", "40")
TRIAL = {"x265": ("33", "37", "41"), "vvc": ("31", "34", "37")}
TOP = 1023
MIN_MAX_BYTES = 8


@dataclass(frozen=True)
class Video:
    """One encoder of ffmpeg at one preset; a setting is its QP. `arguments` have a place for it."""

    name: str
    label: str
    pixel_format: str
    suffix: str
    arguments: tuple[str, ...]
    settings: Sequence[str]
    group: str = "video"

    @property
    def identity(self) -> str:
        """The program's version and what it is told."""
        return f"{ffmpeg.version()} {self.pixel_format} {' '.join(self.arguments)}"

    def code(self, arrays: Sequence[Array], setting: str) -> list[Coded]:
        """Encode and decode all photos. Raises UsageError where the program fails."""
        ranges = [(np.float32(array.min()), np.float32(array.max())) for array in arrays]
        pictures = [picture(array, *ends) for array, ends in zip(arrays, ranges, strict=True)]
        height, width = pictures[0].shape
        # Chroma at its middle, in two planes of a quarter of the picture each.
        chroma = np.full(height * width // 2 if "420" in self.pixel_format else 0, (TOP + 1) // 2, "<u2").tobytes()
        raw = b"".join(one.tobytes() + chroma for one in pictures)
        form = ("-f", "rawvideo", "-pix_fmt", self.pixel_format)
        with tempfile.TemporaryDirectory() as folder:
            stream = str(Path(folder) / f"stream.{self.suffix}")
            told = [argument.format(qp=setting) for argument in self.arguments]
            _, encode_s = ffmpeg.run([*form, "-s", f"{width}x{height}", "-r", "1", "-i", "-", *told, stream], raw)
            listed, _ = ffmpeg.run(["-i", stream, "-c", "copy", "-f", "framecrc", "-"])
            back, decode_s = ffmpeg.run(["-threads", "1", "-i", stream, *form, "-"])
            sizes = [int(line.split(b",")[4]) for line in listed.splitlines() if not line.startswith(b"#")]
            whole = Path(stream).stat().st_size
        frame = len(raw) // 2 // len(arrays)
        if len(sizes) != len(arrays) or sum(sizes) != whole or len(back) != len(raw):
            raise UsageError(f"{self.label}: {len(sizes)} frames of {sum(sizes)} bytes for {len(arrays)} of {whole}")
        planes = np.frombuffer(back, "<u2").reshape(len(arrays), frame)[:, : height * width]
        each = 1000 / len(arrays)
        return [
            Coded(
                size + MIN_MAX_BYTES,
                features(plane.reshape(height, width), *ends, array.shape),
                each * encode_s,
                each * decode_s,
            )
            for size, plane, ends, array in zip(sizes, planes, ranges, arrays, strict=True)
        ]


def picture(array: Array, low: np.float32, high: np.float32) -> Array:
    """Features (C, H, W) -> one grey picture of 10-bit values, uint16; tiles in whole rows, as square as C allows."""
    scaled = (array - low) * (np.float32(TOP) / max(high - low, np.float32(1e-12)))
    return tiled(np.round(scaled).astype("<u2"), divisor(array.shape))


def features(plane: Array, low: np.float32, high: np.float32, shape: tuple[int, ...]) -> Array:
    """The inverse of `picture`, up to half a level: float32 of `shape`."""
    channels, height, width = shape
    values = untiled(plane, (channels, height, width)).astype(np.float32)
    result: Array = values * ((high - low) / np.float32(TOP)) + low
    return result


def variants() -> Iterator[AnyMethod]:
    """Both encoders at several presets, or why not."""
    if why := ffmpeg.lacks("libx265"):
        yield Missing("x265", "x265", "video", why)
    else:
        yield from (x265(preset) for preset in ("medium", "slow"))
    if why := ffmpeg.lacks("libvvenc"):
        yield Missing("vvc", "VVC", "video", why)
    else:
        yield from (vvc(preset) for preset in ("faster", "fast", "medium"))


def x265(preset: str) -> Video:
    """HEVC in 4:0:0 at 10 bits."""
    params = "qp={qp}:keyint=1:repeat-headers=1:info=0:pools=none:frame-threads=1:log-level=error"
    told = ("-c:v", "libx265", "-preset", preset, "-tune", "psnr", "-threads", "1", "-x265-params", params)
    return Video("x265", f"x265 {preset}", "gray10le", "hevc", told, X265_QPS)


def vvc(preset: str) -> Video:
    """VVC at 10 bits by VVenC, decoded by ffmpeg itself."""
    params = "intraperiod=1:threads=1:accessunitdelimiter=0"
    told = ("-c:v", "libvvenc", "-preset", preset, "-qp", "{qp}", "-qpa", "0", "-threads", "1", "-vvenc-params", params)
    return Video("vvc", f"VVC {preset}", "yuv420p10le", "vvc", told, VVC_QPS)
