"""Looks at a repository folder again and again.

Polling instead of the kernel's notifications: those stay silent on network file systems and on many volumes of
containers, and whether a copy is complete takes waiting anyway. A look costs one `stat` for each file.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import structlog

from splitnet.cloud.repository.folder import Key, Signature, signature
from splitnet.cloud.repository.repository import Repository

log = structlog.get_logger("splitnet.repository")


class Watcher:
    """Follows a folder: a version is loaded once its files have not changed for `settle` seconds, and verified then.

    A bundle that is only half there after that is reported as broken, and loaded when its files change again. A version
    whose folder is gone is unloaded; one that an administrator unloaded stays so until its files change.
    """

    def __init__(self, repository: Repository, *, interval: float = 2.0, settle: float = 3.0) -> None:
        self._repository, self._interval, self._settle = repository, interval, settle
        self._seen: dict[Key, tuple[Signature, float]] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
            except Exception:  # the boundary: the next look may find the folder readable again
                log.exception("cannot look at the repository")
            await asyncio.sleep(self._interval)

    async def look(self) -> None:
        """Look once, and load what has settled."""
        watched = await self._repository.watched()
        found = await asyncio.to_thread(_signatures, watched)
        now = time.monotonic()
        self._seen = {
            key: before if (before := self._seen.get(key)) is not None and before[0] == one else (one, now)
            for key, one in found.items()
        }
        await self._repository.follow(
            {key: one for key, (one, since) in self._seen.items() if now - since >= self._settle}
        )


def _signatures(watched: dict[Key, Path]) -> dict[Key, Signature]:
    return {key: signature(path) for key, path in watched.items()}
