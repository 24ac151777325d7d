"""Small videos, and stand-ins for cameras."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np


def pixels(number: int, height: int = 48, width: int = 64) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A grey frame that tells its number: 8 shades a step."""
    return np.full((height, width, 3), 16 + 8 * number, np.uint8)


def number_of(frame: Any) -> int:
    """The number of a frame that went through a codec."""
    return round((float(frame.mean()) - 16) / 8)


def write_video(path: Path, frames: int, *, rate: int = 10, codec: str = "mpeg4") -> Path:
    """A video of so many frames, `rate` a second; each is a keyframe."""
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.gop_size = 1
        for number in range(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels(number), format="rgb24")))
        container.mux(stream.encode())
    return path


class Frame:
    """A frame of a camera that counts how often it is converted."""

    width, height = 64, 48
    converted = 0

    def __init__(self, number: int, time: float | None = None) -> None:
        self.number, self.time = number, time

    def to_ndarray(self, *, format: str) -> Any:
        assert format == "rgb24"
        self.converted += 1
        return pixels(self.number % 30)


class Packet:
    def __init__(self, *frames: Frame, error: Exception | None = None) -> None:
        self._frames, self._error = frames, error

    def decode(self) -> list[Frame]:
        if self._error is not None:
            raise self._error
        return list(self._frames)


class Camera:
    """Stands in for av.open: gives these packets, then does what `then` does."""

    def __init__(self, packets: Callable[[], Iterator[Packet]]) -> None:
        self._packets = packets
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.opened, self.closed = 0, 0
        self.threads: set[str] = set()

    def open(self, url: str, **options: Any) -> Any:
        self.calls.append((url, options))
        self.opened += 1
        self.threads.add(threading.current_thread().name)
        return SimpleNamespace(
            streams=SimpleNamespace(video=[object()]), demux=lambda _: self._packets(), close=self._close
        )

    def _close(self) -> None:
        self.closed += 1
