"""The tables of the daemon's state, and how its file is opened."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from splitnet.errors import ConfigError, OutputError

VERSION = 1

_TABLES = """
CREATE TABLE IF NOT EXISTS done (id BLOB PRIMARY KEY, until REAL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS done_until ON done (until) WHERE until IS NOT NULL;
CREATE TABLE IF NOT EXISTS spool (
  number INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL UNIQUE, sealed INTEGER NOT NULL, size INTEGER NOT NULL,
  clock REAL NOT NULL, uptime REAL NOT NULL, boot TEXT NOT NULL, body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS marks (sink TEXT PRIMARY KEY, mark TEXT NOT NULL) WITHOUT ROWID;
"""


def open_state(path: Path) -> sqlite3.Connection:
    """The state's file, made where there is none: for this user alone, in WAL mode, every commit on disk.

    Raises
    ------
    OutputError
        if it cannot be opened or is no database.
    ConfigError
        if a later version of splitnet wrote it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        connection = sqlite3.connect(path, timeout=10.0, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise OutputError(f"the state {path} cannot be opened: {error}") from error
    try:
        # Before the first table: a file keeps the mode that it begins with.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {4 << 20}")
        (found,) = connection.execute("PRAGMA user_version").fetchone()
        if found > VERSION:
            raise ConfigError(f"{path} is of version {found} of the state; this splitnet knows {VERSION}: update it")
        connection.executescript(_TABLES)
        connection.execute(f"PRAGMA user_version = {VERSION}")
    except sqlite3.Error as error:
        connection.close()
        raise OutputError(f"the state {path} cannot be used: {error}") from error
    except ConfigError:
        connection.close()
        raise
    return connection
