"""A daemon with a folder, a sink and a service, all real, for tests."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from splitnet.bundle import Bundle
from splitnet.cloud import InferenceService
from splitnet.cloud.server import Server
from splitnet.edge.daemon.daemon import Daemon
from splitnet.edge.observe.notify import Notifier

PATIENCE = 30.0
"""Seconds that a test waits for what must come; far more than it takes."""


async def until(condition: Callable[[], object]) -> None:
    """Wait until it holds."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)


def write_photo(path: Path, seed: int) -> Path:
    """A small photo of noise, put in place all at once."""
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3), np.uint8)
    part = path.with_name(f".{path.name}.part")
    Image.fromarray(pixels).save(part, format="png")
    return part.rename(path)


@dataclass
class Rig:
    """Paths, and what the sink holds."""

    folder: Path
    bundle: Bundle
    server: str = ""
    more: str = ""
    source: dict[str, Any] = field(default_factory=dict)
    model: str = ""

    @property
    def inbox(self) -> Path:
        return self.folder / "in"

    @property
    def config(self) -> Path:
        return self.folder / "edge.toml"

    def write(self) -> Path:
        """The configuration as it is now."""
        self.inbox.mkdir(exist_ok=True)
        source = {
            "kind": "folder", "path": "in", "sink": "out", "settle": 0.0, "rescan": 0.05, "once": True,
        } | self.source  # fmt: skip
        servers = f'[[servers]]\naddress = "{self.server}"\n' if self.server else ""
        self.config.write_text(
            f'state = "state"\ngrace = 5.0\n{servers}'
            f'[models.tiny]\nbundle = "{self.bundle.path}"\n{self.model}\n'
            "[link]\ntimeout = 5.0\nfirst_pause = 0.02\nlongest_pause = 0.1\n"
            "[sinks.out]\nkind = 'sqlite'\npath = 'out.sqlite'\n"
            f"[sources.door]\n{_toml(source)}\n{self.more}\n"
        )
        return self.config

    def photos(self, number: int, first: int = 0) -> list[Path]:
        """New photos in the inbox."""
        self.inbox.mkdir(exist_ok=True)
        return [write_photo(self.inbox / f"{index:04d}.png", index) for index in range(first, first + number)]

    def records(self) -> list[dict[str, Any]]:
        """What the SQLite sink holds, in the order of names."""
        path = self.folder / "out.sqlite"
        if not path.exists():
            return []
        database = sqlite3.connect(path)
        try:
            database.row_factory = sqlite3.Row
            with suppress(sqlite3.OperationalError):
                rows = [dict(row) for row in database.execute("SELECT * FROM records ORDER BY name")]
                for row in rows:
                    row["results"] = json.loads(row["results"] or "{}")
                    row["name"] = Path(row["name"]).name
                return rows
            return []
        finally:
            database.close()

    def names(self, status: str = "") -> list[str]:
        return [row["name"] for row in self.records() if status in ("", row["status"])]

    async def run(self) -> None:
        """Until every source has ended."""
        async with asyncio.timeout(PATIENCE):
            await Daemon(self.write()).run()

    @asynccontextmanager
    async def running(self, notifier: Notifier | None = None) -> AsyncIterator[asyncio.Task[None]]:
        """While a test goes on; ended by a signal to this process."""
        task = asyncio.create_task(Daemon(self.write(), notifier=notifier).run())
        try:
            yield task
        finally:
            if not task.done():
                os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(PATIENCE):
                await task


@asynccontextmanager
async def serving(bundle: Bundle, listen: str = "127.0.0.1:0") -> AsyncIterator[Server]:
    """A real service on loopback."""
    async with Server(InferenceService([bundle]), listen=listen) as server:
        yield server


def _toml(values: dict[str, Any]) -> str:
    return "\n".join(f"{key} = {json.dumps(value)}" for key, value in values.items())
