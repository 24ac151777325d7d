"""A repository folder: `NAME/VERSION/` is a bundle, `NAME/.default` says which version is the default."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from splitnet.bundle.manifest import MANIFEST
from splitnet.errors import OutputError, UsageError
from splitnet.files import write_whole

PIN = ".default"
"""No name of a version begins with a dot, so the file can never be in a version's way."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")

Key = tuple[str, str]
"""Name and version of a model."""

Signature = tuple[tuple[str, int, int, int], ...]
"""Path, size, time of change and inode of every file; empty where there is none."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a version lies."""

    name: str
    version: str
    path: Path


@dataclass(frozen=True, slots=True)
class Listing:
    """What lies in a folder at one moment: places by name and version, pinned versions by name."""

    places: Mapping[Key, Place] = field(default_factory=dict)
    pins: Mapping[str, str] = field(default_factory=dict)


class Folder:
    """A repository folder; it holds nothing, so every answer is that of the moment.

    Raises
    ------
    UsageError
        if there is no such folder.
    """

    def __init__(self, root: Path) -> None:
        if not root.is_dir():
            raise UsageError(f"repository {root} is not a folder; make it, with bundles at NAME/VERSION/ inside")
        self.root = root

    def read(self) -> Listing:
        """Every NAME/VERSION that has a manifest; names that no bundle can have are passed over."""
        places: dict[Key, Place] = {}
        pins: dict[str, str] = {}
        for model in _folders(self.root):
            for version in _folders(model):
                if (version / MANIFEST).exists():
                    places[model.name, version.name] = Place(model.name, version.name, version)
            if pinned := _pinned(model / PIN):
                pins[model.name] = pinned
        return Listing(places, pins)

    def pin(self, name: str, version: str) -> bool:
        """Write `NAME/.default`, or remove it for an empty version; False where the folder does not take it."""
        path = self.root / name / PIN
        try:
            if version:
                write_whole(path, lambda stream: stream.write(f"{version}\n".encode()))
            else:
                path.unlink(missing_ok=True)
        except (OutputError, OSError):
            return False
        return True


def signature(path: Path) -> Signature:
    """What changes whenever a file below `path` does."""
    found: list[tuple[str, int, int, int]] = []
    for folder, _, files in os.walk(path):
        for file in files:
            # A file that is gone meanwhile makes another signature next time.
            with contextlib.suppress(OSError):
                status = os.lstat(os.path.join(folder, file))  # noqa: PTH118 - os.walk gives strings
                found.append((f"{folder}/{file}", status.st_size, status.st_mtime_ns, status.st_ino))
    return tuple(sorted(found))


def _pinned(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            text = stream.read(200).decode("utf-8", "replace").strip()
    except OSError:
        return ""
    return text if _NAME.fullmatch(text) else ""


def _folders(root: Path) -> list[Path]:
    try:
        return sorted(path for path in root.iterdir() if _NAME.fullmatch(path.name) and path.is_dir())
    except OSError:
        # Removed or closed to us in this moment: nothing is there.
        return []
