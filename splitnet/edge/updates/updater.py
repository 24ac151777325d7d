"""Looks for newer bundles, fetches them, tries them, and says when to switch."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from splitnet.bundle import Bundle
from splitnet.bundle.versions import version_key
from splitnet.edge.fetch import FetchLimits, fetch_bundle
from splitnet.edge.grpc_transport import GrpcTransport
from splitnet.edge.updates.shelf import Shelf
from splitnet.errors import BundleError, ServiceError, SplitnetError
from splitnet.wire.credentials import Credentials
from splitnet.wire.exchange import ModelSummary

log = structlog.get_logger()

TIMEOUT = 10.0
FIRST_LOOK = 5.0
"""Seconds after the start, before the pause between two looks counts; both are random by half."""
LIMITS = FetchLimits(attempts=3)


@dataclass(frozen=True, slots=True)
class Updates:
    """One model's updates: who must have signed them, how often to look, where they go, and how one is tried.

    `trial` raises BundleError for a bundle that does not work here.
    """

    model: str
    bundle: Bundle
    shelf: Shelf
    key: Path
    interval: float
    edge_only: bool
    trial: Callable[[Bundle], None]
    max_bytes: int = LIMITS.max_bytes


async def _in_a_thread(look: Callable[[], bool]) -> bool:
    """As `asyncio.to_thread`, on a thread that does not keep the process from ending: a download may take an hour."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bool] = loop.create_future()

    def finish(result: bool, error: BaseException | None) -> None:
        if not answer.done():
            if error is None:
                answer.set_result(result)
            else:
                answer.set_exception(error)

    def work() -> None:
        result, failure = False, None
        try:
            result = look()
        except BaseException as error:
            failure = error
            if not isinstance(error, Exception):
                raise
        # The loop may have ended meanwhile.
        with suppress(RuntimeError):
            loop.call_soon_threadsafe(finish, result, failure)

    threading.Thread(target=work, name="update", daemon=True).start()
    return await answer


class Updater:
    """Asks the servers in order, in a thread; `switched` is called on the event loop once another bundle is to be used.

    Fetching goes on after a break where it was. A bundle that is older, unsigned, or fails its trial is not taken, and
    one that failed is not fetched again.
    """

    def __init__(
        self,
        updates: Updates,
        servers: Sequence[tuple[str, Credentials]],
        switched: Callable[[], None],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._updates, self._servers, self._switched, self._draw = updates, tuple(servers), switched, draw
        self._told = ""

    async def run(self) -> None:
        """Look until cancelled, or until there is something to switch to."""
        pause = min(FIRST_LOOK, self._updates.interval)
        while True:
            await asyncio.sleep(pause * (0.5 + self._draw()))
            pause = self._updates.interval
            try:
                if await _in_a_thread(self.look):
                    self._switched()
                    return
            except SplitnetError as error:
                log.warning("update", model=self._updates.model, error=str(error))

    def look(self) -> bool:
        """Ask, and take what is newer. True where another bundle is in use from the next reload on.

        Raises
        ------
        ServiceError
            if no server answers.
        BundleError
            if what was offered is not signed as it must be, or failed its trial.
        OutputError
            if it cannot be written.
        """
        updates = self._updates
        address, credentials, offered = self._ask()
        if not self._wanted(offered):
            return False
        log.info("update", model=updates.model, version=offered.version, fingerprint=offered.fingerprint[:12])
        found = fetch_bundle(
            updates.bundle.manifest.name,
            address,
            updates.shelf.place(offered.fingerprint),
            version=offered.version,
            fingerprint=offered.fingerprint,
            edge_only=updates.edge_only,
            limits=FetchLimits(max_bytes=updates.max_bytes, attempts=LIMITS.attempts),
            credentials=credentials,
            signed_by=updates.key,
        )
        try:
            updates.trial(found)
        except BundleError:
            updates.shelf.refuse(found.fingerprint)
            raise
        updates.shelf.switch(found.fingerprint)
        return True

    def _ask(self) -> tuple[str, Credentials, ModelSummary]:
        failure: ServiceError | None = None
        for address, credentials in self._servers:
            transport = GrpcTransport(address, credentials)
            try:
                return address, credentials, transport.describe(self._updates.bundle.manifest.name, "", TIMEOUT).summary
            except ServiceError as error:
                failure = error
            finally:
                transport.close()
        assert failure is not None
        raise failure

    def _wanted(self, offered: ModelSummary) -> bool:
        mine, shelf = self._updates.bundle, self._updates.shelf.state
        # One that is current without being in use was switched to a moment ago: the reload is on its way.
        if offered.fingerprint in (mine.fingerprint, shelf.current, *shelf.refused):
            return False
        if version_key(offered.version) > version_key(mine.manifest.version):
            return True
        if self._told != offered.fingerprint:
            self._told = offered.fingerprint
            log.warning(
                "update",
                model=self._updates.model,
                error=f"version {offered.version} is offered, not newer than {mine.manifest.version}; it is not taken",
            )
        return False
