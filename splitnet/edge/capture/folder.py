"""Files that appear in a folder."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from functools import partial
from math import inf

from splitnet.edge.capture.aftermath import Aftermath
from splitnet.edge.capture.contract import Intake
from splitnet.edge.capture.events import Events
from splitnet.edge.capture.paths import shown
from splitnet.edge.capture.scan import Seen, Settling, files_below
from splitnet.edge.config.sources import FolderSource
from splitnet.edge.daemon.item import Item, Settled, stable_id
from splitnet.edge.sources import Kind, suffixes
from splitnet.errors import SourceError, UsageError

_under_way: set[str] = set()
"""Ids of files that are offered and not settled, of all folders: a reload makes new sources, and what the old ones
offered goes on. Touched on the event loop alone."""

_GONE = 30 * 86_400.0
"""Seconds for which the id of a file is known that was to be deleted or moved: longer than that it will not stay."""

_SHORTEST_PAUSE = 0.02
"""Seconds between two looks, however many events there are."""


class WatchedFolder:
    """A source of the files in a folder, those that are there and those that come, oldest first.

    Events only make it look sooner: a look every `rescan` seconds finds everything, as on network filesystems. The id
    of an item is made of the source, the file's path below the folder, its size and its time: a file that changed is
    another.

    Raises
    ------
    UsageError
        if answered files would be moved to where they come from.
    """

    def __init__(self, name: str, section: FolderSource, kind: Kind = "image") -> None:
        self._name, self._section, self._wanted = name, section, suffixes(kind)
        self._apart = None if section.moved_to is None else section.moved_to.resolve()
        if self._apart == section.path.resolve():
            raise UsageError(f"sources.{name}.moved_to is the folder itself, {section.path}; choose another")
        self._aftermath = Aftermath(section.path, section.after, section.moved_to)
        self._settling = Settling(section.settle)
        self._remember = inf if section.after == "keep" else _GONE
        self._looking = threading.Lock()

    async def run(self, intake: Intake) -> None:
        """As `Source.run`. Raises SourceError where the folder does not exist, or is another one than it was."""
        loop = asyncio.get_running_loop()
        wake = asyncio.Event()

        def ring() -> None:
            # The last event may come while the loop ends.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(wake.set)

        events = Events(self._section.path, self._section.recursive, ring)
        try:
            folder = await asyncio.to_thread(self._identity)
            await asyncio.to_thread(events.start)
            await self._follow(intake, events, wake, folder)
        finally:
            await asyncio.to_thread(events.close)

    async def _follow(self, intake: Intake, events: Events, wake: asyncio.Event, folder: tuple[int, int]) -> None:
        there: frozenset[str] | None = None
        while True:
            wake.clear()
            began = time.monotonic()
            ripe, waiting = await asyncio.to_thread(self._look, events, folder)
            there = waiting if there is None else there & waiting
            took = time.monotonic() - began
            for one in ripe:
                await self._offer(intake, one)
            there -= {one.place for one in ripe}
            if self._section.once and not there:
                return
            # In a folder of many files under a storm of events, half of the time is for others.
            await asyncio.sleep(max(_SHORTEST_PAUSE, took))
            pause = self._settling.pause()
            limit = self._section.rescan if pause is None else min(pause, self._section.rescan)
            with contextlib.suppress(TimeoutError):
                # Not `wait_for`, which forgets that it was cancelled where an event comes at the same moment.
                async with asyncio.timeout(limit):
                    await wake.wait()

    def _identity(self) -> tuple[int, int]:
        try:
            status = self._section.path.stat()
        except OSError as error:
            raise self._unreadable(error) from error
        return status.st_dev, status.st_ino

    def _look(self, events: Events, folder: tuple[int, int]) -> tuple[list[Seen], frozenset[str]]:
        """Files to offer, and the places of all that are not done."""
        if self._identity() != folder:
            raise SourceError(f"the folder {shown(self._section.path)} was replaced by another")
        # Asked for first: what is closed during the look is for the next one.
        closed = events.take()
        with self._looking:
            try:
                ripe = self._settling.ripe(
                    files_below(self._section.path, self._wanted, recursive=self._section.recursive, apart=self._apart),
                    closed,
                )
            except OSError as error:
                raise self._unreadable(error) from error
            return ripe, self._settling.waiting

    def _unreadable(self, error: OSError) -> SourceError:
        return SourceError(f"the folder {shown(self._section.path)} cannot be read: {error.strerror or error}")

    async def _offer(self, intake: Intake, one: Seen) -> None:
        item_id = stable_id(self._name, one.place, one.size, one.changed)
        path = self._section.path / one.place
        if not intake.known(item_id):
            _under_way.add(item_id)
            try:
                settle = partial(self._settle, item_id, one)
                await intake.offer(Item(self._name, shown(path), path, item_id, remember=self._remember, settle=settle))
            except BaseException:
                _under_way.discard(item_id)
                raise
        elif item_id not in _under_way:
            # Answered in a life before this, which ended too early for the rest.
            self._be_done_with(one)
        self._settling.finish(one)
        # Thousands of files that are known must not hold the loop.
        await asyncio.sleep(0)

    def _settle(self, item_id: str, one: Seen, settled: Settled) -> None:
        _under_way.discard(item_id)
        # What failed stays where it is: somebody will want to see why.
        failed = settled.record is not None and settled.record.status == "failed"
        if settled.how != "dropped" and not failed:
            self._be_done_with(one)

    def _be_done_with(self, one: Seen) -> None:
        if self._aftermath.does_something:
            asyncio.get_running_loop().run_in_executor(None, self._aftermath.carry_out, one.place, one.state)
