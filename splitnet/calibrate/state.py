"""What a calibration keeps on disk, so that one that was interrupted goes on where it was."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from splitnet.errors import OutputError, UsageError
from splitnet.figures import write_text
from splitnet.files import write_whole

Array = np.ndarray[Any, np.dtype[Any]]

_KEY = "key.json"


class State:
    """A folder for one cut. Whatever was kept for other photos, settings or another network is removed.

    Raises
    ------
    UsageError
        if the folder holds something else.
    OutputError
        if it cannot be written.
    """

    def __init__(self, folder: Path, facts: object) -> None:
        self.folder = folder
        text = json.dumps({"state": hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()})
        key = folder / _KEY
        try:
            if folder.exists() and not key.exists() and any(folder.iterdir()):
                raise UsageError(f"{folder} holds something else than a calibration: choose another --work folder")
            if key.exists() and key.read_text(encoding="utf-8") != text:
                shutil.rmtree(folder)
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"cannot use {folder}: {error.strerror or error}") from error
        write_text(key, text)

    def path(self, name: str) -> Path:
        """A file of this state."""
        return self.folder / name

    def load(self, name: str) -> Array | None:
        """An array that `keep` wrote, mapped from the disk, or None."""
        try:
            kept: Array = np.load(self.path(name), mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        return kept

    def keep(self, name: str, values: Array) -> None:
        """Write an array in one step. Raises OutputError."""
        write_whole(self.path(name), lambda stream: np.save(stream, values, allow_pickle=False))

    def remove(self) -> None:
        """Remove the folder: the work is done."""
        shutil.rmtree(self.folder, ignore_errors=True)
