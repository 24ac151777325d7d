"""SIGKILL at random moments: every photo of a folder is in the sink exactly once."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from splitnet.bundle import Bundle
from tests.edge.daemon.rig import PATIENCE, Rig, serving

PHOTOS = 60


async def start(rig: Rig) -> asyncio.subprocess.Process:
    command = [sys.executable, "-m", "splitnet", "edge", "daemon", "--config", str(rig.config)]
    return await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)


@pytest.mark.parametrize("kind", ["sqlite", "folder", "jsonl"])
async def test_killed_at_random_moments(tiny_bundle: Bundle, tmp_path: Path, kind: str) -> None:
    rig = Rig(tmp_path, tiny_bundle, source={"sink": "files", "fallback": ["spool"], "after": "delete", "rate": 80})
    rig.more = f"[sinks.files]\nkind = '{kind}'\npath = 'files'"
    rig.photos(PHOTOS)
    draw = random.Random(kind)
    async with serving(tiny_bundle) as server:
        rig.server = server.address
        rig.write()
        for _ in range(4):
            process = await start(rig)
            try:
                # Around the time that a start takes, and that the photos do at their rate.
                await asyncio.wait_for(process.wait(), draw.uniform(0.3, 1.2))
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGKILL)
            await process.wait()
        process = await start(rig)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
    names = sorted(Path(name).name for name in _names(tmp_path / "files", kind))
    assert names == [f"{number:04d}.png" for number in range(PHOTOS)]
    assert not list(rig.inbox.glob("*.png"))


def _names(path: Path, kind: str) -> list[str]:
    if kind == "folder":
        return [json.loads(one.read_text())["name"] for one in path.glob("*.json")]
    if kind == "jsonl":
        return [json.loads(line)["name"] for line in path.read_text().splitlines()]
    import sqlite3

    database = sqlite3.connect(path)
    try:
        return [row[0] for row in database.execute("SELECT name FROM records")]
    finally:
        database.close()
