"""Records as files of a folder, one each."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from splitnet.edge.daemon.item import ID_BYTES
from splitnet.edge.daemon.record import Record
from splitnet.edge.sinks.durable import output_errors
from splitnet.edge.sinks.payload import readable_json
from splitnet.files import sync_folder

_TEMPORARY = re.compile(rf"\.[0-9a-f]{{{2 * ID_BYTES}}}\.tmp")


class Folder:
    """Puts `ID.json` into the folder at `path`, all at once; one that is there already is left alone.

    The folder is made where it is missing, but not the one that it is in: a disk that is not mounted is no place.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def mark(self) -> str:
        """Empty: the names say what is there."""
        return ""

    def resume(self, mark: str) -> Iterable[str]:
        """Remove what was half-written."""
        with output_errors(self._path):
            self._make()
            with os.scandir(self._path) as entries:
                for entry in entries:
                    if _TEMPORARY.fullmatch(entry.name):
                        Path(entry.path).unlink()
        return ()

    def write(self, records: Sequence[Record]) -> None:
        """Put these in place, those before the one that fails stay. Raises OutputError."""
        with output_errors(self._path):
            self._make()
            for record in records:
                self._put(record)
            # Not only where something was written: a killed process may have left names that are in memory only.
            sync_folder(self._path)

    def close(self) -> None:
        """Nothing is held."""

    def _make(self) -> None:
        if not self._path.is_dir():
            self._path.mkdir()
            sync_folder(self._path.parent)

    def _put(self, record: Record) -> None:
        target = self._path / f"{record.id}.json"
        if target.exists():
            return
        temporary = self._path / f".{record.id}.tmp"
        try:
            with temporary.open("wb") as stream:
                stream.write(readable_json(record))
                stream.flush()
                os.fsync(stream.fileno())
            temporary.replace(target)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
