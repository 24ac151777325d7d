"""The daemon: runs a configuration, reloads it, and ends in good order."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Literal

import structlog

from splitnet.edge.adapt.choice import Choice
from splitnet.edge.config.loading import load_config
from splitnet.edge.config.schema import EdgeConfig
from splitnet.edge.daemon.assemble import Setup, build, open_store, shelf_of
from splitnet.edge.daemon.lock import only_daemon
from splitnet.edge.daemon.running import Running
from splitnet.edge.daemon.surfaces import Surfaces
from splitnet.edge.observe.notify import Notifier
from splitnet.edge.observe.tally import EdgeTally
from splitnet.edge.spool.store import Store
from splitnet.errors import InternalError, SplitnetError

log = structlog.get_logger()

End = Literal["stop", "reload", "finished"]
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
"""Seconds before the configuration that ran is tried again, where it does not run any more."""
_SIGNALS: dict[signal.Signals, End] = {signal.SIGTERM: "stop", signal.SIGINT: "stop", signal.SIGHUP: "reload"}


class Daemon:
    """Runs the configuration in `path` until a signal, or until every source has ended.

    SIGTERM and SIGINT end it: what is under way gets `grace` seconds. SIGHUP reads the file again; one that is wrong is
    reported and changes nothing.
    """

    def __init__(self, path: Path, *, notifier: Notifier | None = None) -> None:
        self._path = path
        self._notifier = notifier or Notifier()
        self._tally = EdgeTally()
        self._running: Running | None = None
        self._end: End = "finished"
        self._asked = asyncio.Event()

    @property
    def ready(self) -> bool:
        """Whether inputs are taken."""
        return self._running is not None

    async def run(self) -> None:
        """Raises SplitnetError where the first configuration is of no use."""
        config = load_config(self._path)
        with only_daemon(config.state):
            store = open_store(config)
            try:
                surfaces = Surfaces(config, self._tally, lambda: self.ready)
                setup, running = self._make(config, store)
                with self._signals():
                    # Beside the first frames: a web server takes longer to import than they do to be answered.
                    opening = asyncio.create_task(self._open(surfaces))
                    while await self._run(running) == "reload":
                        setup, running = await self._reloaded(setup, store)
                    await opening
                    await asyncio.to_thread(surfaces.close)
            finally:
                self._notifier.stopping()
                store.close()

    def _make(self, config: EdgeConfig, store: Store) -> tuple[Setup, Running]:
        setup = build(config, store, self._tally, self._changed)
        return setup, Running(setup, store, self._tally, self._notifier, lambda: self._signalled("reload"))

    async def _run(self, running: Running) -> End:
        self._running = running
        try:
            await running.run(self._asked)
        finally:
            self._running = None
        end, self._end = self._end, "finished"
        self._asked.clear()
        return end

    async def _open(self, surfaces: Surfaces) -> None:
        try:
            await asyncio.to_thread(surfaces.open)
        except SplitnetError:
            self._signalled("stop")
            raise

    @contextmanager
    def _signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number, end in _SIGNALS.items():
            loop.add_signal_handler(number, partial(self._signalled, end))
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)

    def _signalled(self, end: End) -> None:
        # To end outranks to reload, whichever came first.
        if self._end != "stop":
            self._end = end
        self._asked.set()

    async def _reloaded(self, old: Setup, store: Store) -> tuple[Setup, Running]:
        """What the file says now, or what it said before where that is of no use."""
        config = old.config
        self._notifier.reloading()
        try:
            config = load_config(self._path)
        except SplitnetError as error:
            log.error("reload", error=str(error))
        if config.state != old.config.state:
            log.warning("reload", error="state cannot change while the daemon runs; the old folder stays")
            config = config.model_copy(update={"state": old.config.state})
        pause = FIRST_PAUSE
        while True:
            try:
                made = self._make(config, store)
            except SplitnetError as error:
                log.error("reload", error=str(error))
            else:
                log.info("reload", config=str(self._path))
                return made
            if self._asked.is_set():
                raise InternalError("ended before the configuration could be run again")
            if config is old.config:
                # It ran a moment ago: what is in its way, a bundle that is being replaced perhaps, will pass.
                await asyncio.sleep(pause)
                pause = min(LONGEST_PAUSE, 2 * pause)
            _roll_back(old)
            config = old.config

    def _changed(self, source: str, old: Choice, new: Choice, reason: str) -> None:
        self._tally.mode(source, new.mode, new.cut, new.codec, reason)
        log.info("plan", source=source, old=old.way, new=new.way, reason=reason)


def _roll_back(old: Setup) -> None:
    """Undo updates that came since `old` was set up: one of them may be why the new configuration cannot be run."""
    for name, section in old.config.models.items():
        if section.updates is not None:
            shelf = shelf_of(old.config, name)
            if shelf.state.current and shelf.state.current != old.models[name].bundle.fingerprint:
                log.error("update", model=name, error="the update is rolled back")
                shelf.roll_back()
