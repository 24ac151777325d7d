"""inotify's word about a folder, through watchdog."""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from splitnet.edge.capture.paths import shown

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent
    from watchdog.observers.api import BaseObserver

MOST_PLACES = 10_000
"""Files that are remembered as closed between two looks; those beyond have to settle."""

log = structlog.get_logger("splitnet.sources")


class Events:
    """Calls `wake`, on a thread of its own, when a look at the folder may be worth it; knows which files were closed.

    Where inotify has no watch left, there are no events: whoever uses this looks from time to time all the same.
    """

    def __init__(self, folder: Path, recursive: bool, wake: Callable[[], None]) -> None:
        self._folder, self._recursive, self._wake = folder, recursive, wake
        self._root = folder
        self._starting = threading.Lock()
        self._lock = threading.Lock()
        self._closed: set[str] = set()
        self._observer: BaseObserver | None = None
        self._over = False

    def start(self) -> None:
        """Begin to listen. Blocks as long as it takes to visit every sub-folder."""
        with self._starting:
            if self._over:
                return
            try:
                self._root = self._folder.resolve(strict=True)
                self._observer = self._observing()
            except OSError as error:
                reason = error.strerror or str(error)
                log.warning(
                    "no events; the folder is looked at from time to time", path=shown(self._folder), reason=reason
                )

    def _observing(self) -> BaseObserver:
        from watchdog import events
        from watchdog.observers.inotify import InotifyObserver

        outer = self

        class Handler(events.FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                outer._on_event(event)

        wanted: list[type[FileSystemEvent]] = [
            events.FileClosedEvent,
            events.FileCreatedEvent,
            events.FileMovedEvent,
            events.DirCreatedEvent,
            events.DirMovedEvent,
        ]
        # A folder made while it is being listened to may be found twice, which is no harm and watchdog's to say.
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
        # Full events tell a file that was moved in, which is whole, from one that was created just now.
        observer = InotifyObserver(generate_full_events=True)
        try:
            observer.schedule(Handler(), str(self._root), recursive=self._recursive, event_filter=wanted)
            observer.start()
        except OSError:
            observer.stop()
            raise
        return observer

    def take(self) -> frozenset[str]:
        """Places of the files, below the folder, that were closed after writing or moved in since it was last asked."""
        with self._lock:
            closed, self._closed = self._closed, set()
        return frozenset(closed)

    def close(self) -> None:
        """End it; waits for its threads."""
        with self._starting:
            self._over = True
            if self._observer is not None:
                self._observer.stop()
                self._observer.join()
                self._observer = None

    def _on_event(self, event: FileSystemEvent) -> None:
        # Synthetic events are about what lies in a folder that was moved, and may be written to.
        if event.event_type != "created" and not event.is_directory and not event.is_synthetic:
            path = event.dest_path if event.event_type == "moved" else event.src_path
            # What is moved out leads nowhere.
            if path:
                self._remember(Path(os.fsdecode(path)))
        self._wake()

    def _remember(self, path: Path) -> None:
        if path.is_relative_to(self._root):
            with self._lock:
                if len(self._closed) < MOST_PLACES:
                    self._closed.add(str(path.relative_to(self._root)))
