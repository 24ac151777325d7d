"""Frames at their times over a Unix socket, and what came back when."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Answered:
    """A frame: when it was due after the start, seconds to its answer, and the record's status (empty: none came)."""

    due: float
    seconds: float
    status: str
    cut: str = ""


class Connection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def feed(path: Path, photos: Sequence[bytes], start: float, dues: Sequence[float], timeout: float) -> list[Answered]:
    """Post a photo at each of `dues` (seconds after `start`, a reading of `time.monotonic`), whatever others do."""
    found: list[Answered] = []
    threads = []
    for number, due in enumerate(dues):
        thread = threading.Thread(
            target=lambda n=number, d=due: found.append(_post(path, photos, n, start, d, timeout))
        )
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join()
    return sorted(found, key=lambda one: one.due)


def _post(path: Path, photos: Sequence[bytes], number: int, start: float, due: float, timeout: float) -> Answered:
    time.sleep(max(0.0, start + due - time.monotonic()))
    connection = Connection(path, timeout)
    try:
        connection.request("POST", "/infer", photos[number % len(photos)])
        answer = connection.getresponse()
        record = json.loads(answer.read()) if answer.status == 200 else {}
    except (OSError, http.client.HTTPException, ValueError):
        record = {}
    finally:
        connection.close()
    seconds = time.monotonic() - start - due
    return Answered(due, seconds, record.get("status", ""), record.get("cut", ""))
