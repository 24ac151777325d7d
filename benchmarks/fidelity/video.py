"""Features as video, which is what the anchors of MPEG's feature coding do: x265 and VVC, intra only.

The channels are laid side by side in one grey picture, the photo's minimum and maximum become 0 and 1023, and the
picture is a frame of 4:0:0 video at 10 bits (VVC: 4:2:0 with constant chroma, because the program's wrapper takes
nothing else; a constant plane costs a few bytes). All photos are one stream a QP, every frame a key frame that
carries its own parameter sets, so that each could be cut out and decoded alone. A photo's bytes are those of its
whole access unit, parameter sets included, encoder's notes (SEI) and delimiters switched off, and 8 bytes of two
float32: minimum and maximum. The number of channels and the QP are left to an agreement, which favours these rows.

Perceptual tuning (adaptive quantisation, psycho-visual rate distortion) is off: features are not looked at.

The program is the ffmpeg binary of the package `imageio-ffmpeg`. The package is BSD-2-Clause; the *binary* contains
x265 and is under the GPL. It is run as a program of its own, never imported, linked or passed on, and is optional.
"""

from __future__ import annotations

import resource
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from benchmarks.codecs.tensors import tiled, untiled
from benchmarks.fidelity.methods import AnyMethod, Coded, Missing
from splitnet.errors import UsageError
from splitnet.runtime import Array

X265_QPS = ("22", "25", "28", "31", "34", "37", "40")
VVC_QPS = ("22", "25", "28", "31", "34", "37", "40")
TRIAL = {"x265": ("25", "31", "37"), "vvc": ("25", "31", "37")}
TOP = 1023
MIN_MAX_BYTES = 8
INSTALL = "pip install imageio-ffmpeg"


@dataclass(frozen=True)
class Video:
    """One encoder of ffmpeg at one preset; a setting is its QP. `arguments` have a place for it."""

    name: str
    label: str
    program: str
    pixel_format: str
    suffix: str
    arguments: tuple[str, ...]
    settings: Sequence[str]
    group: str = "video"

    @property
    def identity(self) -> str:
        """The program's version and what it is told."""
        return f"{version(self.program)} {self.pixel_format} {' '.join(self.arguments)}"

    def code(self, arrays: Sequence[Array], setting: str) -> list[Coded]:
        """Encode and decode all photos. Raises UsageError with the program's last line where it fails."""
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
            _, encode_s = self._run([*form, "-s", f"{width}x{height}", "-r", "1", "-i", "-", *told, stream], raw)
            listed, _ = self._run(["-i", stream, "-c", "copy", "-f", "framecrc", "-"])
            back, decode_s = self._run(["-threads", "1", "-i", stream, *form, "-"])
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

    def _run(self, arguments: Sequence[str], data: bytes = b"") -> tuple[bytes, float]:
        """Standard output and processor seconds."""
        before = _children()
        command = [self.program, "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *arguments]
        if data:
            command.remove("-nostdin")
        done = subprocess.run(command, input=data, capture_output=True, check=False)
        if done.returncode:
            lines = done.stderr.decode(errors="replace").strip().splitlines()
            raise UsageError(f"{self.label}: ffmpeg ended with {done.returncode}: {(lines or ['no message'])[0]}")
        return done.stdout, _children() - before


def picture(array: Array, low: np.float32, high: np.float32) -> Array:
    """Features (C, H, W) -> one grey picture of 10-bit values, uint16; tiles in whole rows, as square as C allows."""
    scaled = (array - low) * (np.float32(TOP) / max(high - low, np.float32(1e-12)))
    return tiled(np.round(scaled).astype("<u2"), columns(array.shape))


def features(plane: Array, low: np.float32, high: np.float32, shape: tuple[int, ...]) -> Array:
    """The inverse of `picture`, up to half a level: float32 of `shape`."""
    channels, height, width = shape
    values = untiled(plane, (channels, height, width)).astype(np.float32)
    result: Array = values * ((high - low) / np.float32(TOP)) + low
    return result


def columns(shape: tuple[int, ...]) -> int:
    """Tiles side by side: the divisor of C that makes the picture most nearly square, so that no tile is empty."""
    channels, height, width = shape
    divisors = [n for n in range(1, channels + 1) if channels % n == 0]
    return min(divisors, key=lambda n: abs(np.log(n * width / (channels // n * height))))


def variants() -> Iterator[AnyMethod]:
    """Both encoders at several presets, or why not."""
    if find_spec("imageio_ffmpeg") is None:
        yield Missing("x265", "x265", "video", INSTALL)
        yield Missing("vvc", "VVC", "video", INSTALL)
        return
    program: str = import_module("imageio_ffmpeg").get_ffmpeg_exe()
    has = _encoders(program)
    if "libx265" in has:
        yield from (x265(program, preset) for preset in ("medium", "slow"))
    else:
        yield Missing("x265", "x265", "video", "this ffmpeg has no libx265")
    if "libvvenc" in has:
        yield from (vvc(program, preset) for preset in ("faster", "fast", "medium"))
    else:
        yield Missing("vvc", "VVC", "video", "this ffmpeg has no libvvenc")


def x265(program: str, preset: str) -> Video:
    """HEVC in 4:0:0 at 10 bits."""
    params = "qp={qp}:keyint=1:repeat-headers=1:info=0:pools=none:frame-threads=1:log-level=error"
    told = ("-c:v", "libx265", "-preset", preset, "-tune", "psnr", "-threads", "1", "-x265-params", params)
    return Video("x265", f"x265 {preset}", program, "gray10le", "hevc", told, X265_QPS)


def vvc(program: str, preset: str) -> Video:
    """VVC at 10 bits by VVenC, decoded by ffmpeg itself."""
    params = "intraperiod=1:threads=1:accessunitdelimiter=0"
    told = ("-c:v", "libvvenc", "-preset", preset, "-qp", "{qp}", "-qpa", "0", "-threads", "1", "-vvenc-params", params)
    return Video("vvc", f"VVC {preset}", program, "yuv420p10le", "vvc", told, VVC_QPS)


@cache
def version(program: str) -> str:
    """ffmpeg's first line."""
    return _ask(program, "-version").splitlines()[0]


@cache
def _encoders(program: str) -> frozenset[str]:
    return frozenset(words[1] for line in _ask(program, "-encoders").splitlines() if len(words := line.split()) > 1)


def _ask(program: str, what: str) -> str:
    try:
        return subprocess.run([program, "-hide_banner", what], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise UsageError(f"{program}: cannot be run: {error}") from error


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
