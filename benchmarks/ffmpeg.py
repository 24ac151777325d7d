"""ffmpeg as an external program, for video codecs as peers.

The binary comes with the package `imageio-ffmpeg`. The package is BSD-2-Clause; the *binary* contains x265 and is under
the GPL. It is run as a program of its own, never imported, linked or passed on, and is optional.
"""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from splitnet.errors import UsageError

INSTALL = "pip install imageio-ffmpeg"


@cache
def program() -> str:
    """The binary's path; empty where the package is not installed."""
    if find_spec("imageio_ffmpeg") is None:
        return ""
    path: str = import_module("imageio_ffmpeg").get_ffmpeg_exe()
    return path


def lacks(encoder: str) -> str:
    """What is missing for an encoder of ffmpeg, for example "libx265"; empty where nothing is."""
    if not program():
        return INSTALL
    return "" if encoder in _encoders() else f"this ffmpeg has no {encoder}"


@cache
def version() -> str:
    """The binary's first line."""
    return run(["-version"])[0].decode().splitlines()[0]


def run(arguments: Sequence[str], data: bytes = b"") -> tuple[bytes, float]:
    """Standard output, and processor seconds; `data` is standard input. Raises UsageError with ffmpeg's first line."""
    before = _children()
    command = [program(), "-hide_banner", "-loglevel", "error", "-y", *arguments]
    try:
        done = subprocess.run(command, input=data, capture_output=True, check=False)
    except OSError as error:
        raise UsageError(f"{command[0]}: cannot be run: {error.strerror or error}") from error
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise UsageError(f"ffmpeg ended with {done.returncode}: {(lines or ['no message'])[0]}")
    return done.stdout, _children() - before


@cache
def _encoders() -> frozenset[str]:
    listed = run(["-encoders"])[0].decode().splitlines()
    return frozenset(words[1] for line in listed if len(words := line.split()) > 1)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
