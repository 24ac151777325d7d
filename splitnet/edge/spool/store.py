"""What a daemon must not forget: frames that wait, ids that were answered, and how far its sinks are."""

from __future__ import annotations

import math
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from splitnet.edge.spool.age import Moment
from splitnet.edge.spool.cipher import Cipher
from splitnet.edge.spool.entry import Entry, unpack
from splitnet.edge.spool.schema import open_state
from splitnet.errors import ConfigError, OutputError

log = structlog.get_logger()


class SpoolFullError(OutputError):
    """The spool has no room for one more frame."""


@dataclass(frozen=True, slots=True)
class Done:
    """An input whose record is safe; `remember` in seconds, `inf` for ever, 0 not at all."""

    id: str
    remember: float = 0.0


class Store:
    """One SQLite file in WAL mode; a commit is on disk when a method returns.

    One thread at a time may write, by a lock; `known` may be asked from any thread. `max_bytes` bounds the frames of
    the spool. With a cipher what is put is sealed; what is not readable without the right key is an error at once.

    Raises
    ------
    OutputError
        wherever the file cannot be read or written, a full disk included; nothing of the transaction is kept then.
    ConfigError
        if there are sealed entries and no key, or another one, or the file is of a later version.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_bytes: int,
        cipher: Cipher | None = None,
        now: Callable[[], Moment] = Moment.now,
    ) -> None:
        self.path, self._max_bytes, self._cipher, self._now = path, max_bytes, cipher, now
        self._lock, self._asking = threading.RLock(), threading.Lock()
        self._database = open_state(path)
        # In WAL mode a reader of its own does not wait for a commit that waits for the disk.
        self._reader = open_state(path)
        with self._errors():
            ids = self._database.execute("SELECT id FROM spool").fetchall()
            (size,) = self._database.execute("SELECT coalesce(sum(size), 0) FROM spool").fetchone()
            sealed = self._database.execute("SELECT id, body FROM spool WHERE sealed LIMIT 1").fetchone()
        self._size: int = size
        self._waiting = {row[0] for row in ids}
        self._damaged: set[bytes] = set()
        if sealed is not None:
            self._opened(sealed[0], True, sealed[1])

    @property
    def size(self) -> int:
        """Bytes of all frames that wait, with what belongs to them."""
        return self._size

    def __len__(self) -> int:
        return len(self._waiting)

    def known(self, item_id: str) -> bool:
        """Whether it was answered, or waits."""
        key = bytes.fromhex(item_id)
        if key in self._waiting:
            return True
        with self._asking, self._errors():
            return self._reader.execute("SELECT 1 FROM done WHERE id = ?", (key,)).fetchone() is not None

    def put(self, entries: Sequence[Entry]) -> None:
        """Let frames wait; one that waits already is left as it is. All of them or none.

        Raises
        ------
        SpoolFullError
            if there is no room for all of them.
        """
        when, rows, size = self._now(), [], 0
        for entry in entries:
            key = bytes.fromhex(entry.id)
            body = entry.packed()
            if self._cipher is not None:
                body = self._cipher.seal(body, key)
            rows.append((key, self._cipher is not None, len(body), when.clock, when.uptime, when.boot, body))
            size += len(body)
        with self._lock:
            if self._size + size > self._max_bytes:
                raise SpoolFullError(
                    f"the spool is full: {self._size} of {self._max_bytes} bytes wait; raise spool.max_bytes"
                )
            with self._transaction() as database:
                database.executemany(
                    "INSERT OR IGNORE INTO spool (id, sealed, size, clock, uptime, boot, body)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?)",
                    rows,
                )
            new = {row[0]: row[2] for row in rows if row[0] not in self._waiting}
            self._size += sum(new.values())
            self._waiting |= new.keys()

    def oldest(self, most: int, *, but: Collection[str] = ()) -> list[tuple[Entry, float]]:
        """At most `most` entries that wait longest, but for the ids in `but`, each with its age in seconds."""
        now, found = self._now(), []
        skipped = {bytes.fromhex(one) for one in but} | self._damaged
        with self._lock, self._errors():
            for key, number in self._database.execute("SELECT id, number FROM spool ORDER BY number"):
                if key not in skipped:
                    found.append(number)
                    if len(found) == most:
                        break
            rows = [
                self._database.execute(
                    "SELECT id, sealed, body, clock, uptime, boot FROM spool WHERE number = ?", (number,)
                ).fetchone()
                for number in found
            ]
        return [(entry, Moment(*row[3:]).age(now)) for row in rows if (entry := self._readable(row)) is not None]

    def oldest_age(self) -> float:
        """Seconds that the oldest entry waits; 0 where none does."""
        with self._lock, self._errors():
            row = self._database.execute("SELECT clock, uptime, boot FROM spool ORDER BY number LIMIT 1").fetchone()
        return 0.0 if row is None else Moment(*row).age(self._now())

    def done(self, answered: Iterable[Done], marks: Mapping[str, str] | None = None) -> None:
        """Note that records are safe: they wait no longer, and are known for as long as is asked; all in one step."""
        clock = self._now().clock
        gone, size = [], 0
        with self._lock:
            with self._transaction() as database:
                for one in answered:
                    key = bytes.fromhex(one.id)
                    if one.remember > 0:
                        until = None if math.isinf(one.remember) else clock + one.remember
                        database.execute("INSERT OR REPLACE INTO done (id, until) VALUES (?, ?)", (key, until))
                    if key in self._waiting:
                        (length,) = database.execute("DELETE FROM spool WHERE id = ? RETURNING size", (key,)).fetchone()
                        gone.append(key)
                        size += length
                for sink, mark in (marks or {}).items():
                    database.execute("INSERT OR REPLACE INTO marks (sink, mark) VALUES (?, ?)", (sink, mark))
            self._size -= size
            self._waiting.difference_update(gone)

    def mark(self, sink: str) -> str:
        """How far the sink was when records were last noted; empty where none were."""
        with self._lock, self._errors():
            row = self._database.execute("SELECT mark FROM marks WHERE sink = ?", (sink,)).fetchone()
        return "" if row is None else row[0]

    def tidy(self) -> None:
        """Forget ids that nobody has to know any more, and give room on disk back."""
        with self._transaction() as database:
            database.execute("DELETE FROM done WHERE until < ?", (self._now().clock,))
        with self._lock, self._errors():
            self._database.execute("PRAGMA incremental_vacuum").fetchall()
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close the file."""
        with self._lock, self._asking:
            self._reader.close()
            self._database.close()

    def _readable(self, row: tuple[Any, ...]) -> Entry | None:
        """One that cannot be read is left where it is, and stands in nobody's way."""
        try:
            return self._opened(row[0], row[1], row[2])
        except (OutputError, ConfigError) as error:
            self._damaged.add(row[0])
            log.error("spool", id=row[0].hex(), error=str(error))
            return None

    def _opened(self, key: bytes, sealed: bool, body: bytes) -> Entry:
        if sealed:
            if self._cipher is None:
                raise ConfigError(f"{self.path} holds frames that are encrypted; give spool.key")
            body = self._cipher.open(body, key)
        return unpack(body)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._errors():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
                self._database.execute("COMMIT")
            except BaseException:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise OutputError(f"the state {self.path} cannot be used: {error}") from error
