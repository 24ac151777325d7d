"""The service at its end of an emulated link."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from benchmarks.link.link import Link
from splitnet.errors import UnavailableError

PORT = 50051


def address_of(link: Link) -> str:
    """Where `start_service` has it listen."""
    return f"{link.server.address}:{PORT}"


def start_service(link: Link, bundle: Path, log: IO[str]) -> subprocess.Popen[Any]:
    """`splitnet serve`, once it listens; the link ends it. Raises UnavailableError where it does not start."""
    command = [sys.executable, "-m", "splitnet", "serve", "--bundle", str(bundle), "--listen", address_of(link)]
    server = link.popen("server", [*command, "--insecure"], stdout=subprocess.PIPE, stderr=log, text=True)
    assert server.stdout is not None
    # It says one line there, and nothing after that.
    with server.stdout:
        if not server.stdout.readline().startswith("serving on "):
            raise UnavailableError(f"the server did not start; {log.name} says why")
    return server
