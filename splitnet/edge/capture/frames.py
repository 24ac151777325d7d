"""Frames of a video, one after another, as PyAV decodes them."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import structlog

from splitnet.edge.capture.video_place import Place
from splitnet.errors import SourceError, UsageError
from splitnet.models.preprocess import MAX_PIXELS

GRACE = 1.0
"""Seconds beyond its timeouts after which FFmpeg counts as stuck: some devices know no timeout."""
_STEP = 1 / 25
"""Seconds that the only frame of a file is shown, where it is played again and again."""

log = structlog.get_logger("splitnet.sources")


def require_av() -> Any:
    """PyAV. Raises UsageError where it is not installed."""
    try:
        import av
        import av.error
    except ImportError as error:
        raise UsageError(f"a video source needs PyAV: pip install 'splitnet[video]' ({error})") from error
    return av


class CorruptCount:
    """Frames of a source that could not be decoded: a line in the log, at most one a minute."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._unsaid = 0
        self._said = -60.0

    def add(self) -> None:
        """Count one."""
        self._unsaid += 1
        now = time.monotonic()
        if now - self._said >= 60:
            log.warning("corrupt frames are skipped", source=self._source, frames=self._unsaid)
            self._unsaid, self._said = 0, now


@dataclass(frozen=True, slots=True)
class Shot:
    """A decoded frame, not converted yet: the how manyth, from 0 through loops, and when, in seconds from the first."""

    number: int
    seconds: float
    frame: Any


class Frames:
    """Opens a video and decodes it, in one thread; `stop` and `stuck` are for any.

    A frame of a file that cannot be decoded is skipped and counted, and so is one of a stream, which may begin in the
    middle. `timeout` in seconds, for opening and for each frame.
    """

    def __init__(
        self, place: Place, open: Callable[..., Any], *, timeout: float, loop: bool, corrupt: CorruptCount
    ) -> None:
        self._place, self._open, self._timeout, self._loop, self._corrupt = place, open, timeout, loop, corrupt
        self._av = require_av()
        self._late_at: float | None = None
        self.stopped = threading.Event()

    @property
    def stuck(self) -> bool:
        """Whether FFmpeg has been silent for longer than it should."""
        late_at = self._late_at
        return late_at is not None and time.monotonic() > late_at

    def shots(self) -> Generator[Shot]:
        """All of them; close it, so that the device is closed. Raises SourceError; its message holds no password."""
        live = self._place.file is None
        number, begin = 0, 0.0
        while not self.stopped.is_set():
            last: Shot | None = None
            with contextlib.closing(self._once(number, begin)) as once:
                for last in once:
                    yield last
            if live and not self.stopped.is_set():
                raise SourceError(f"{self._place.shown} ended; is the camera still there?")
            if last is None and not self.stopped.is_set():
                raise SourceError(f"{self._place.shown} holds no frame that can be decoded")
            if last is None or not self._loop:
                return
            # The last frame is shown as long as those before it.
            step = (last.seconds - begin) / max(1, last.number - number) or _STEP
            number, begin = last.number + 1, last.seconds + step

    def _once(self, number: int, begin: float) -> Generator[Shot]:
        container = self._opened()
        try:
            stream = self._stream(container)
            first = None
            for frame in self._decoded(container, stream):
                at = float(frame.time) if frame.time is not None else None
                first = at if first is None else first
                yield Shot(number, begin + (0.0 if at is None or first is None else at - first), frame)
                number += 1
        finally:
            self._listen()
            container.close()
            self._late_at = None

    def _opened(self) -> Any:
        place = self._place
        if place.path is not None and place.format is None and not place.path.exists():
            raise SourceError(f"{place.shown} does not exist")
        # PyAV waits so long for the connection, and once more for what the streams are.
        self._late_at = time.monotonic() + 2 * self._timeout + GRACE
        try:
            return self._open(
                place.url, format=place.format, options=place.options, timeout=(self._timeout, self._timeout)
            )
        except Exception as error:  # noqa: BLE001 - as all that PyAV raises, which holds the URL with its password
            raise SourceError(f"{place.shown} cannot be opened: {self._reason(error)}") from None

    def _stream(self, container: Any) -> Any:
        if not container.streams.video:
            raise SourceError(f"{self._place.shown} has no video")
        return container.streams.video[0]

    def _decoded(self, container: Any, stream: Any) -> Iterator[Any]:
        packets = container.demux(stream)
        self._listen()
        while not self.stopped.is_set() and (packet := self._next(packets)) is not None:
            for frame in self._frames(packet):
                if frame.width * frame.height > MAX_PIXELS:
                    raise SourceError(
                        f"{self._place.shown} has frames of {frame.width}x{frame.height} pixels, more than {MAX_PIXELS}"
                    )
                self._late_at = None
                yield frame
                self._listen()

    def _listen(self) -> None:
        self._late_at = time.monotonic() + self._timeout + GRACE

    def _next(self, packets: Iterator[Any]) -> Any:
        try:
            return next(packets, None)
        except Exception as error:  # noqa: BLE001 - as above
            raise SourceError(f"{self._place.shown} cannot be read any more: {self._reason(error)}") from None

    def _frames(self, packet: Any) -> list[Any]:
        try:
            return list(packet.decode())
        except EOFError:
            return []
        except self._av.error.FFmpegError:
            self._corrupt.add()
            return []

    def _reason(self, error: Exception) -> str:
        if isinstance(error, self._av.error.ExitError):
            return f"nothing came within {self._timeout:g} s"
        text = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        return " ".join(text.replace(self._place.url, self._place.shown).split())
