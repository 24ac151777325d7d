"""A video file or a camera."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any

from splitnet.edge.capture.contract import Intake
from splitnet.edge.capture.frames import GRACE, CorruptCount, Frames, Shot, require_av
from splitnet.edge.capture.handover import Handover
from splitnet.edge.capture.video_place import place_of
from splitnet.edge.config.sources import VideoSource
from splitnet.edge.daemon.item import Item, stable_id
from splitnet.errors import SourceError


class VideoStream:
    """A source of frames; `open` takes the place of `av.open`.

    A file whose every frame is promised an answer is read as fast as answers come; its frames are known again after a
    restart, by the file's path, size and time and their number. Otherwise a file plays at its own speed. With a rate,
    frames that come too soon are not even converted.

    Raises
    ------
    UsageError
        if PyAV is missing, or the URL cannot be used.
    ConfigError
        if the password is not where the table says.
    """

    def __init__(self, name: str, section: VideoSource, open: Callable[..., Any] | None = None) -> None:
        self._name, self._section = name, section
        self._place = place_of(name, section)
        self._open = open or require_av().open
        self._corrupt = CorruptCount(name)
        self._playing: Handover | None = None

    async def run(self, intake: Intake) -> None:
        """As `Source.run`."""
        if self._playing is not None and self._playing.alive:
            raise SourceError(f"{self._place.shown} is stuck; the system does not let go of the device")
        frames = Frames(
            self._place,
            self._open,
            timeout=self._section.timeout,
            loop=self._section.loop,
            corrupt=self._corrupt,
        )
        self._playing = playing = Handover(intake, frames.stopped)
        done = playing.start(lambda: self._play(frames, playing))
        try:
            while not done.done():
                await asyncio.wait({done}, timeout=min(1.0, self._section.timeout))
                if frames.stuck and not done.done():
                    raise SourceError(f"{self._place.shown} is silent for more than {self._section.timeout:g} s")
        except asyncio.CancelledError:
            playing.stop()
            await asyncio.wait({done}, timeout=2 * self._section.timeout + GRACE)
            raise
        finally:
            playing.stop()
        playing.check()

    def _play(self, frames: Frames, to: Handover) -> None:
        """On a thread of its own."""
        file = self._place.file
        every = file is not None and self._section.drop == "all"
        identity = _identity(self._name, file) if every and file is not None else None
        began: float | None = None
        taken: float | None = None
        with contextlib.closing(frames.shots()) as shots:
            for shot in shots:
                now = time.monotonic()
                at = now if file is None else shot.seconds
                if file is not None and not every:
                    began = now - at if began is None else began
                    if frames.stopped.wait(max(0.0, began + at - now)):
                        return
                if self._too_soon(at, taken):
                    continue
                taken = at
                item_id = stable_id(*identity, shot.number) if identity else None
                if item_id is None or not to.known(item_id):
                    to.offer(self._item(shot, item_id))

    def _too_soon(self, at: float, taken: float | None) -> bool:
        """Whether a frame comes earlier than the rate allows; times of videos are rounded, often to a millisecond."""
        if self._section.rate is None or taken is None:
            return False
        pause = 1 / self._section.rate
        return at - taken < pause - min(1e-3, pause / 10)

    def _item(self, shot: Shot, item_id: str | None) -> Item:
        pixels = shot.frame.to_ndarray(format="rgb24")
        name = f"frame {shot.number}"
        if item_id is None:
            return Item(self._name, name, pixels)
        return Item(self._name, name, pixels, item_id, remember=inf)


def _identity(source: str, file: Path) -> tuple[str, str, int, int]:
    try:
        status = file.stat()
    except OSError as error:
        raise SourceError(f"{file} cannot be read: {error.strerror or error}") from error
    return source, str(file), status.st_size, status.st_mtime_ns
