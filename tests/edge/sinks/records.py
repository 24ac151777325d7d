"""Records to write, and what is wrong with the place to write them to."""

from __future__ import annotations

import contextlib
import os
import resource
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from splitnet.edge.daemon.item import stable_id
from splitnet.edge.daemon.record import Record


def make_record(number: int = 0, **changes: Any) -> Record:
    """One of endlessly many."""
    record = Record(
        id=stable_id("record", number),
        source="door",
        name=f"Tür {number}.jpg",
        captured=1_700_000_000.25 + number,
        answered=1_700_000_000.5 + number,
        latency=0.25,
        status="cloud",
        model="lite0",
        cut="block4",
        codec="affine:bits=8",
        frame_bytes=1000 + number,
        results={"classify": [{"label": "Kätzchen\n", "score": 0.5}]},
    )
    return replace(record, **changes)


def make_records(*numbers: int) -> list[Record]:
    """Those of these numbers."""
    return [make_record(number) for number in numbers]


def ids(*numbers: int) -> list[str]:
    """Of the records of these numbers."""
    return [make_record(number).id for number in numbers]


@contextlib.contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Inside, the system lets no file grow over `size` bytes: the write that would cross it ends half-way."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def watch_disk(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by what is synced (with its size if it is a file) and by what is renamed, in order."""
    seen: list[str] = []
    fsync, rename = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        fsync(descriptor)
        place = Path(f"/proc/self/fd/{descriptor}").readlink()
        size = "" if place.is_dir() else f" {os.fstat(descriptor).st_size}"
        seen.append(f"sync {place.name}{size}")

    def renamed(old: Any, new: Any) -> None:
        rename(old, new)
        seen.append(f"rename {Path(old).name}")

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    return seen
