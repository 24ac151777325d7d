"""One configuration at work, from its first input to its last."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import structlog

from splitnet.edge.daemon.assemble import Setup
from splitnet.edge.daemon.checking import check_server
from splitnet.edge.daemon.drainer import Drainer
from splitnet.edge.daemon.feeding import feed
from splitnet.edge.daemon.intake import Intake, Lane
from splitnet.edge.daemon.pipeline import Pipeline
from splitnet.edge.daemon.tending import follow, gauge, keep_alive
from splitnet.edge.daemon.updating import make_updaters
from splitnet.edge.link.server import Server
from splitnet.edge.link.servers import Servers
from splitnet.edge.observe.notify import Notifier
from splitnet.edge.observe.tally import EdgeTally
from splitnet.edge.spool.store import Store
from splitnet.edge.updates.updater import Updater
from splitnet.errors import InternalError

log = structlog.get_logger()


class Running:
    """Runs what was set up until `asked` is set, or every source has ended and everything has its record.

    `switched` is called when an update is ready, which a reload takes up. Raises UsageError where a key for updates is
    of no use.
    """

    def __init__(
        self,
        setup: Setup,
        store: Store,
        tally: EdgeTally,
        notifier: Notifier,
        switched: Callable[[], None] = lambda: None,
    ) -> None:
        config = setup.config
        self._updaters = make_updaters(setup, switched)
        self._setup, self._store, self._tally, self._notifier = setup, store, tally, notifier
        lanes = {
            name: Lane(way.section.drop, way.section.priority, config.link.in_flight, way.section.rate)
            for name, way in setup.ways.items()
        }
        self.intake = Intake(lanes, tally, store.known)
        check = partial(check_server, [model.bundle for model in setup.models.values()])
        self._servers = Servers(setup.servers, check, _link_changed, timeout=config.link.timeout)
        self._pipeline = Pipeline(setup.ways, self.intake, self._servers, store, tally, timeout=config.link.timeout)
        self._drainer = Drainer(
            store,
            self._servers,
            {name: way.recorder for name, way in setup.ways.items()},
            next(iter(setup.recorders.values())),
            tally,
            lambda: self._pipeline.sending,
            timeout=config.link.timeout,
            max_age=config.spool.max_age,
        )

    async def run(self, asked: asyncio.Event) -> None:
        """Raises defects of ours as they are: every task is there to the end."""
        setup = self._setup
        self._tell_names()
        tasks = [asyncio.create_task(one) for one in self._work()]
        feeding = asyncio.create_task(feed(setup.sources, self.intake, self._tally))
        self._notifier.ready(f"{len(setup.sources)} sources, {len(setup.servers)} servers")
        log.info("running", sources=list(setup.sources), servers=[one.address for one in setup.servers])
        waits = [asyncio.create_task(self._finished(feeding)), asyncio.create_task(asked.wait())]
        try:
            # The tasks end by a defect only, which is not to be waited for in silence.
            await asyncio.wait([*waits, *tasks], return_when=asyncio.FIRST_COMPLETED)
            ended = [task for task in tasks if task.done()]
        finally:
            await _cancel([*waits, feeding])
            await self._wind_up(tasks)
        for task in ended:
            # Also one that was cancelled: nobody here did that.
            task.result()
            raise InternalError("a part of the daemon ended by itself")

    def _work(self) -> list[Any]:
        setup, servers = self._setup, self._servers
        return [
            servers.watch(),
            self._pipeline.run(),
            self._drainer.run(),
            follow(servers, setup.live),
            gauge(setup, servers, self.intake, self._pipeline, self._store, self._tally),
            keep_alive(self._notifier, self._pipeline),
            *(recorder.run() for recorder in setup.recorders.values()),
            *(_to_the_end(updater) for updater in self._updaters),
        ]

    def _tell_names(self) -> None:
        setup, tally = self._setup, self._tally
        addresses = [server.address for server in setup.servers]
        tally.configure(sources=setup.sources, sinks=setup.recorders, models=setup.ways, servers=addresses)
        for name, way in setup.ways.items():
            choice = way.chooser.choice
            tally.mode(name, choice.mode, choice.cut, choice.codec, choice.reason)

    async def _finished(self, feeding: asyncio.Task[None]) -> None:
        await feeding
        await _quiet(self.intake)
        while len(self._store):
            await asyncio.sleep(0.1)

    async def _wind_up(self, tasks: Sequence[asyncio.Task[Any]]) -> None:
        """Nothing new comes in; what is under way has its grace."""
        with suppress(TimeoutError):
            await asyncio.wait_for(_quiet(self.intake), self._setup.config.grace)
        self.intake.give_up()
        await _cancel(tasks)
        await self._servers.close()
        for recorder in self._setup.recorders.values():
            await asyncio.to_thread(recorder.close)


async def _to_the_end(updater: Updater) -> None:
    """Look for updates; after a switch, which ends this run, there is nothing more to do."""
    await updater.run()
    await asyncio.Event().wait()


def _link_changed(server: Server) -> None:
    log.info("server", address=server.address, state=server.state, error=server.error or None)


async def _quiet(intake: Intake) -> None:
    while not intake.idle:
        await asyncio.sleep(0.02)


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
