"""Rows of a database: all of a batch or none, each id once."""

from __future__ import annotations

import json
import math
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from splitnet.edge.sinks.sqlite import _WAL_BYTES, SCHEMA, Sqlite
from splitnet.errors import OutputError
from tests.edge.sinks.records import ids, largest_file, make_record, make_records


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


@pytest.fixture
def sink(path: Path) -> Iterator[Sqlite]:
    made = Sqlite(path, busy=0.05)
    yield made
    made.close()


def _read(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def _written(path: Path) -> list[object]:
    return [row[0] for row in _read(path, "SELECT id FROM records ORDER BY rowid")]


def test_a_record_is_a_row(sink: Sqlite, path: Path) -> None:
    record = make_record(1, spooled=True, error="one line")
    assert list(sink.resume("")) == []
    sink.write([record])
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        row = dict(connection.execute("SELECT * FROM records").fetchone())
    assert json.loads(row.pop("results")) == record.results
    assert row == {key: value for key, value in record.as_dict().items() if key != "results"}
    assert sink.mark == ""


def test_results_can_be_asked_for_in_sql(sink: Sqlite, path: Path) -> None:
    sink.write([make_record(1), make_record(2, results={}, status="failed")])
    query = "SELECT json_extract(results, '$.classify[0].score') FROM records ORDER BY captured"
    assert _read(path, query) == [(0.5,), (None,)]


def test_an_id_that_comes_again_is_kept_once(sink: Sqlite, path: Path) -> None:
    sink.write(make_records(1, 2, 2))
    sink.write([make_record(1, name="another"), make_record(3)])
    assert _written(path) == ids(1, 2, 3)
    assert ("another",) not in _read(path, "SELECT name FROM records")


def test_values_that_a_column_cannot_hold_lose_no_row(sink: Sqlite, path: Path) -> None:
    sink.write([make_record(1, latency=math.nan, name="\udcff.jpg", error="\udcfe", results={"x": "\udcfd"})])
    ((latency, name, error, results),) = _read(path, "SELECT latency, name, error, results FROM records")
    assert (latency, name, error) == (None, "\\udcff.jpg", "\\udcfe")
    assert json.loads(str(results)) == {"x": "\udcfd"}


def test_it_is_durable_and_others_can_read(sink: Sqlite, path: Path) -> None:
    sink.write(make_records(1))
    assert sink._connection is not None
    assert sink._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert _read(path, "PRAGMA journal_mode") == [("wal",)]
    assert _read(path, "PRAGMA user_version") == [(SCHEMA,)]
    with closing(sqlite3.connect(path)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM records").fetchone() == (1,)
        sink.write(make_records(2))
        assert reader.execute("SELECT count(*) FROM records").fetchone() == (1,)


def test_a_batch_is_one_transaction(sink: Sqlite) -> None:
    statements: list[str] = []
    sink.resume("")
    assert sink._connection is not None
    sink._connection.set_trace_callback(statements.append)
    sink.write(make_records(1, 2, 3))
    assert [one.split()[0] for one in statements] == ["BEGIN", "INSERT", "INSERT", "INSERT", "COMMIT"]


def test_a_batch_that_fails_leaves_none_of_it(sink: Sqlite, path: Path) -> None:
    sink.write(make_records(1))
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            f"CREATE TRIGGER no BEFORE INSERT ON records WHEN new.id = '{make_record(3).id}'"
            " BEGIN SELECT RAISE(ABORT, 'no such thing'); END"
        )
    with pytest.raises(OutputError, match=r"cannot write .*records\.db: no such thing"):
        sink.write(make_records(2, 3))
    assert _written(path) == ids(1)
    sink.write(make_records(2))
    assert _written(path) == ids(1, 2)


def test_rows_that_a_killed_process_left_in_the_log_are_synced(sink: Sqlite, path: Path) -> None:
    sink.write(make_records(1))
    assert path.with_name("records.db-wal").stat().st_size > 0
    again = Sqlite(path)
    again.resume("")
    assert path.with_name("records.db-wal").stat().st_size == 0
    again.close()


def test_the_log_is_bounded(sink: Sqlite, path: Path) -> None:
    log = path.with_name("records.db-wal")
    sink.write([make_record(number, name="x" * 1_000_000) for number in range(6)])
    assert log.stat().st_size > _WAL_BYTES
    sink.write(make_records(6))
    assert log.stat().st_size <= _WAL_BYTES
    for number in range(7, 13):
        sink.write([make_record(number, name="x" * 1_000_000)])
    assert log.stat().st_size <= 2 * _WAL_BYTES
    assert _written(path) == ids(*range(13))


def test_a_file_that_is_no_database_is_left_alone(sink: Sqlite, path: Path) -> None:
    path.write_bytes(b"no database" * 1000)
    for _ in range(2):
        with pytest.raises(OutputError, match=r"cannot write .*records\.db: file is not a database"):
            sink.write(make_records(1))
    assert path.read_bytes() == b"no database" * 1000
    path.unlink()
    sink.write(make_records(1))
    assert _written(path) == ids(1)


def test_a_newer_database_is_refused(sink: Sqlite, path: Path) -> None:
    sink.write(make_records(1))
    sink.close()
    _read(path, f"PRAGMA user_version={SCHEMA + 1}")
    with pytest.raises(OutputError, match=rf"is of version {SCHEMA + 1}, this splitnet writes {SCHEMA}"):
        sink.resume("")
    assert _written(path) == ids(1)


@pytest.mark.parametrize("version", [-1, 0])
def test_another_programs_database_is_refused(sink: Sqlite, path: Path, version: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(f"CREATE TABLE wages (id); PRAGMA user_version={version}")
    with pytest.raises(OutputError, match="another program's database"):
        sink.write(make_records(1))
    assert _read(path, "SELECT name FROM sqlite_master") == [("wages",)]


def test_a_locked_database_is_an_error_until_it_is_free(sink: Sqlite, path: Path) -> None:
    sink.write(make_records(1))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for _ in range(2):
            with pytest.raises(OutputError, match="database is locked"):
                sink.write(make_records(2))
        other.execute("ROLLBACK")
    sink.write(make_records(2))
    assert _written(path) == ids(1, 2)


def test_a_full_disk_is_an_error_until_there_is_room(sink: Sqlite, path: Path) -> None:
    sink.write(make_records(1))
    with largest_file(200_000), pytest.raises(OutputError, match=r"cannot write .*records\.db: "):
        sink.write([make_record(2, name="x" * 400_000)])
    sink.write(make_records(2, 3))
    assert _written(path) == ids(1, 2, 3)


def test_a_file_that_was_moved_away_is_followed_by_a_new_one(sink: Sqlite, path: Path, tmp_path: Path) -> None:
    sink.write(make_records(1))
    for one in tmp_path.glob("records.db*"):
        one.rename(tmp_path / f"old-{one.name}")
    sink.write(make_records(2))
    assert _written(path) == ids(2)


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="unable to open database file"):
        Sqlite(tmp_path / "none" / "records.db").resume("")


def test_batches_may_come_from_several_threads(sink: Sqlite, path: Path) -> None:
    for number in range(3):
        thread = threading.Thread(target=sink.write, args=(make_records(number),))
        thread.start()
        thread.join(20)
    assert _written(path) == ids(0, 1, 2)
