"""`splitnet serve` as a process of its own, for the demo, the benchmarks and the tests."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from splitnet.errors import UnavailableError
from splitnet.termination import on_termination

START_SECONDS = 60.0


@contextmanager
def server_process(bundle: Path, log: Path, *options: str) -> Iterator[str]:
    """Start a server of `bundle` on a free loopback port, yield its address, stop it at the end.

    Its log goes to the file `log`.

    Raises
    ------
    UnavailableError
        if it does not get ready; the message has the last line of its log.
    """
    command = [
        sys.executable,
        "-m",
        "splitnet",
        "serve",
        "--bundle",
        str(bundle),
        "--listen",
        "127.0.0.1:0",
        *options,
    ]
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True)
    try:
        with on_termination(process.terminate):
            yield _address(process, command, log)
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _address(process: subprocess.Popen[str], command: Sequence[str], log: Path) -> str:
    assert process.stdout is not None
    # A server that hangs before it listens would block the read below for ever.
    watchdog = threading.Timer(START_SECONDS, process.kill)
    watchdog.start()
    try:
        line = process.stdout.readline()
    finally:
        watchdog.cancel()
    words = line.split()
    if words[:2] != ["serving", "on"]:
        last = (log.read_text(encoding="utf-8").strip().splitlines() or ["no output"])[-1]
        raise UnavailableError(f"the server did not start ({' '.join(command[1:4])}): {last}")
    return words[2]
