"""A service and a daemon, each at its end of an emulated link."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from typing import Any

from benchmarks.link import Link
from benchmarks.link.service import address_of, start_service
from benchmarks.links.policies import ONLY_CLOUD, SOURCES, Policy, write_config
from splitnet.bundle import Bundle
from splitnet.errors import UnavailableError

PATIENCE = 30.0


@contextmanager
def running(
    link: Link, folder: Path, bundle: Bundle, profile: Path, policy: Policy, sources: Mapping[str, str] = SOURCES
) -> Iterator[Path]:
    """The daemon's log, while both run; all that they write is in `folder`, made anew. Raises UnavailableError."""
    rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    path = folder / "daemon.log"
    if not policy.server:
        sources = {name: tasks for name, tasks in sources.items() if name != ONLY_CLOUD}
    with (folder / "server.log").open("w") as served, path.open("w") as log:
        start_service(link, bundle.path, served)
        config = write_config(policy, folder, bundle.path.resolve(), profile.resolve(), address_of(link), sources)
        command = [sys.executable, "-m", "splitnet", "edge", "daemon", "--config", str(config)]
        daemon = link.popen("client", command, stderr=log)
        _wait_for([folder / f"{name}.sock" for name in sources], daemon, path)
        yield path


def _wait_for(sockets: list[Path], daemon: subprocess.Popen[Any], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not all(path.exists() for path in sockets):
        if daemon.poll() is not None or time.monotonic() > end:
            raise UnavailableError(f"the daemon did not start; {log} says why")
        time.sleep(0.02)
