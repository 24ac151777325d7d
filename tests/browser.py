"""Pages of ours in a real browser: headless Chromium."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from splitnet.http.server import PageServer

CHROMIUM = shutil.which("chromium")
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason="chromium is not installed (Debian: apt-get install chromium)"
)


def browse(server: PageServer, profile: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Load a page and let four seconds of its time pass; `profile` is a folder that the browser may fill."""
    command = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--enable-logging=stderr",
        "--hide-scrollbars",
        f"--user-data-dir={profile}",
        "--virtual-time-budget=4000",
        *options,
        f"http://{server.address}/",
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)


def console(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What the page's script complained about."""
    return [line for line in done.stderr.splitlines() if "CONSOLE" in line]
