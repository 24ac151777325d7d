"""A daemon, a service and a link that faults happen to, and photos that keep coming."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from shutil import copyfile
from typing import Any, Self

from benchmarks.faults.clock import Clock
from benchmarks.link import Link
from benchmarks.link.service import address_of, start_service
from splitnet.errors import UnavailableError

PATIENCE = 300.0


class Rig:
    """State and sinks lie in `folder`; photos are copies of `photos`, one every `pause` seconds, to two folders in
    `inbox` in turns.

    One folder's answers go to SQLite, the other's to JSON lines. Every photo is promised, and none is answered on the
    device: a fault has to be survived by the spool and the folders alone.
    """

    def __init__(
        self,
        folder: Path,
        inbox: Path,
        link: Link,
        bundle: Path,
        photos: list[Path],
        pause: float,
        task: str = "classification",
    ) -> None:
        self._inbox = inbox
        self.folder, self.link, self._bundle, self._photos, self._pause = folder, link, bundle, photos, pause
        self.clock = Clock(inbox)
        self._logs = (inbox / "log").open("a")
        self.server: subprocess.Popen[Any] | None = None
        self.daemon: subprocess.Popen[Any] | None = None
        self.peak = 0.0
        self.sent = 0
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._bring), threading.Thread(target=self._watch)]
        self.config = folder / "edge.toml"
        text = (
            f'state = "state"\ngrace = 2.0\n[models.lite0]\nbundle = "{bundle.resolve()}"\n'
            f'[[servers]]\naddress = "{address_of(link)}"\n[link]\ntimeout = 3.0\nlongest_pause = 1.0\nkeepalive = 10\n'
            '[sinks.table]\nkind = "sqlite"\npath = "out.sqlite"\n[sinks.lines]\nkind = "jsonl"\npath = "out.jsonl"\n'
        )
        for name, sink in (("odd", "table"), ("even", "lines")):
            (inbox / name).mkdir()
            text += (
                f'[sources.{name}]\nkind = "folder"\npath = "{inbox / name}"\nsink = "{sink}"\nfallback = ["spool"]\n'
                f'tasks = ["{task}"]\nsettle = 0.2\nafter = "delete"\n'
            )
        self.config.write_text(text)

    def start_server(self) -> None:
        """Start the service and wait until it answers."""
        self.server = start_service(self.link, self._bundle, self._logs)

    def kill_server(self) -> None:
        """Without a word."""
        assert self.server is not None
        self.server.kill()
        self.server.wait()

    def start_daemon(self) -> None:
        """Start the daemon."""
        command = [sys.executable, "-m", "splitnet", "edge", "daemon", "--config", str(self.config)]
        self.daemon = self.link.popen("client", command, stderr=self._logs, env=self.clock.environment)

    def kill_daemon(self) -> None:
        """Without a word."""
        assert self.daemon is not None
        self.daemon.kill()
        self.daemon.wait()

    def stop_photos(self) -> None:
        """No more photos come."""
        self._stop.set()
        self._threads[0].join()

    def wait_until_answered(self) -> float:
        """Seconds until every photo has its record and the spool is empty. Raises UnavailableError."""
        begun = time.monotonic()
        while time.monotonic() - begun < PATIENCE:
            if len(set(self.names())) >= self.sent and not self._left():
                return time.monotonic() - begun
            time.sleep(0.1)
        raise UnavailableError(f"{len(set(self.names()))} of {self.sent} photos have a record after {PATIENCE:.0f} s")

    def names(self) -> list[str]:
        """Photos in both sinks, as often as they are there."""
        found: list[str] = []
        with suppress(sqlite3.Error):
            database = sqlite3.connect(f"file:{self.folder / 'out.sqlite'}?mode=ro", uri=True)
            try:
                found += [Path(row[0]).name for row in database.execute("SELECT name FROM records WHERE error = ''")]
            finally:
                database.close()
        with suppress(FileNotFoundError):
            for line in (self.folder / "out.jsonl").read_text(encoding="utf-8").splitlines():
                with suppress(ValueError):
                    found.append(Path(json.loads(line)["name"]).name)
        return found

    def _left(self) -> bool:
        return any(any((self._inbox / name).glob("*.jpg")) for name in ("odd", "even"))

    def _bring(self) -> None:
        while not self._stop.wait(self._pause):
            name = f"{self.sent:06d}.jpg"
            part = self._inbox / f".{name}"
            copyfile(self._photos[self.sent % len(self._photos)], part)
            part.rename(self._inbox / ("odd", "even")[self.sent % 2] / name)
            self.sent += 1

    def _watch(self) -> None:
        while not self._stop.wait(0.2):
            with suppress(OSError, StopIteration, AttributeError):
                assert self.daemon is not None
                # The link's own process stands in front: the daemon takes its place by exec.
                lines = Path(f"/proc/{self.daemon.pid}/status").read_text(encoding="ascii").splitlines()
                kilobytes = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
                self.peak = max(self.peak, kilobytes * 1024 / 1e6)

    def __enter__(self) -> Self:
        self.start_server()
        self.start_daemon()
        for thread in self._threads:
            thread.start()
        # A fault meets a daemon at work; one that cannot begin is its service manager's to start again.
        begun = time.monotonic()
        while not self.names():
            if time.monotonic() - begun > PATIENCE:
                raise UnavailableError(f"no photo was answered; {self._inbox / 'log'} says why")
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for process in (self.daemon, self.server):
            if process is not None and process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait()
        self._logs.close()


Fault = Callable[[Rig, bool], None]
"""Makes a fault happen and end; True for the short version."""
