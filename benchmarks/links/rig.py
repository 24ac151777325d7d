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
from benchmarks.links.policies import ONLY_CLOUD, SOURCES, Policy, write_config
from splitnet.bundle import Bundle
from splitnet.errors import UnavailableError

PORT = 50051
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
    with _serving(link, folder / "server.log", bundle) as server, path.open("w") as log:
        config = write_config(policy, folder, bundle.path.resolve(), profile.resolve(), server, sources)
        command = [sys.executable, "-m", "splitnet", "edge", "daemon", "--config", str(config)]
        daemon = link.popen("client", command, stderr=log)
        _wait_for([folder / f"{name}.sock" for name in sources], daemon, path)
        yield path


@contextmanager
def _serving(link: Link, path: Path, bundle: Bundle) -> Iterator[str]:
    address = f"{link.server.address}:{PORT}"
    command = [sys.executable, "-m", "splitnet", "serve", "--bundle", str(bundle.path), "--listen", address]
    with path.open("w") as log:
        server = link.popen("server", [*command, "--insecure"], stdout=subprocess.PIPE, stderr=log, text=True)
        assert server.stdout is not None
        with server.stdout:
            if not server.stdout.readline().startswith("serving on "):
                raise UnavailableError(f"the server did not start; {path} says why")
            yield address


def _wait_for(sockets: list[Path], daemon: subprocess.Popen[Any], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not all(path.exists() for path in sockets):
        if daemon.poll() is not None or time.monotonic() > end:
            raise UnavailableError(f"the daemon did not start; {log} says why")
        time.sleep(0.02)
