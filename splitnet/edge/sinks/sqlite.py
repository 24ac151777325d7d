"""Records as rows of an SQLite database."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from splitnet.edge.daemon.record import Record
from splitnet.edge.sinks.payload import plain
from splitnet.errors import OutputError

SCHEMA = 1
"""`user_version` of the database."""

BUSY = 5.0
"""Seconds to wait for another program that has the database locked."""

_WAL_BYTES = 4 << 20

# With rowids, as ids are random and rows long: those that come together lie together.
_TABLE = """
    CREATE TABLE records (
        id TEXT PRIMARY KEY, source TEXT, name TEXT, captured REAL, answered REAL, latency REAL, status TEXT,
        model TEXT, cut TEXT, codec TEXT, frame_bytes INTEGER, spooled INTEGER, results TEXT, error TEXT
    )
"""
# Not OR IGNORE, which would also let go of rows that violate anything else.
_INSERT = "INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"


class Sqlite:
    """A table `records`, `results` in it as JSON; times are Unix seconds, `latency` seconds.

    Every batch is one transaction, on disk when `write` returns. The database has a write-ahead log, so that others
    can read at any time. `busy` is in seconds, see `BUSY`.
    """

    def __init__(self, path: Path, *, busy: float = BUSY) -> None:
        self._path, self._busy = path, busy
        self._connection: sqlite3.Connection | None = None
        self._opened: os.stat_result | None = None

    @property
    def mark(self) -> str:
        """Empty: the ids say what is there."""
        return ""

    def resume(self, mark: str) -> Iterable[str]:
        """Make the database, or see whether it can be used."""
        with self._output_errors():
            self._connected()
        return ()

    def write(self, records: Sequence[Record]) -> None:
        """Add the rows whose ids are new, all or none. Raises OutputError; the next call connects again then."""
        rows = [_row(record) for record in records]
        with self._output_errors():
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_INSERT, rows)
            connection.execute("COMMIT")

    def close(self) -> None:
        """Let go of the database; what was begun is rolled back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):
                connection.close()

    @contextlib.contextmanager
    def _output_errors(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise OutputError(f"cannot write {self._path}: {error}") from error

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None and self._moved():
            self.close()
        if self._connection is None:
            connection = sqlite3.connect(self._path, timeout=self._busy, isolation_level=None, check_same_thread=False)
            try:
                self._prepare(connection)
                self._opened = self._path.stat()
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _moved(self) -> bool:
        """Whether rows would go to a file that nobody finds."""
        try:
            return self._opened is None or not os.path.samestat(self._opened, self._path.stat())
        except FileNotFoundError:
            return True

    def _prepare(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (things,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        if version > SCHEMA:
            raise OutputError(
                f"{self._path} is of version {version}, this splitnet writes {SCHEMA}: upgrade it, or name a new file"
            )
        if version != SCHEMA and things:
            raise OutputError(f"{self._path} is another program's database: name a new file")
        for setting in ("journal_mode=WAL", "synchronous=FULL", f"journal_size_limit={_WAL_BYTES}"):
            connection.execute(f"PRAGMA {setting}")
        if version != SCHEMA:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_TABLE)
            connection.execute(f"PRAGMA user_version={SCHEMA}")
            connection.execute("COMMIT")
        # A killed process leaves rows that are in memory only: they are there, so writing them again would not sync.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _row(record: Record) -> tuple[str | float | int, ...]:
    return (
        record.id,
        record.source,
        plain(record.name),
        record.captured,
        record.answered,
        record.latency,
        record.status,
        record.model,
        record.cut,
        record.codec,
        record.frame_bytes,
        int(record.spooled),
        plain(json.dumps(dict(record.results), separators=(",", ":"), ensure_ascii=False)),
        plain(record.error),
    )
