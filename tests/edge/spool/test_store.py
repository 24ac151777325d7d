"""The daemon's state: frames that wait, ids that are known, marks of sinks."""

from __future__ import annotations

import math
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from splitnet.edge.spool.age import Moment
from splitnet.edge.spool.cipher import Cipher
from splitnet.edge.spool.entry import Entry, unpack
from splitnet.edge.spool.schema import VERSION
from splitnet.edge.spool.store import Done, SpoolFullError, Store
from splitnet.errors import ConfigError, OutputError

KEY = "0123456789abcdef" * 4


def entry(number: int, frame: bytes = b"frame") -> Entry:
    return Entry(
        id=f"{number:032x}",
        source="door",
        name=f"photo {number}",
        captured=1e9 + number,
        remember=math.inf,
        model="tiny",
        fingerprint="f" * 64,
        cut="r1",
        codec="none|raw",
        tasks=("classification", "embedding"),
        top_k=5,
        frame=frame,
    )


class Clocks:
    """Both clocks of a machine, as the test sets them."""

    def __init__(self) -> None:
        self.clock, self.uptime, self.boot = 1e9, 100.0, "one"

    def now(self) -> Moment:
        return Moment(self.clock, self.uptime, self.boot)


def open_store(path: Path, clocks: Clocks | None = None, max_bytes: int = 1 << 20, key: str = "") -> Store:
    return Store(path, max_bytes=max_bytes, cipher=Cipher(key) if key else None, now=(clocks or Clocks()).now)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "state.sqlite"


@pytest.mark.parametrize("key", ["", KEY])
def test_entries_come_back_oldest_first_after_a_restart(path: Path, key: str) -> None:
    store = open_store(path, key=key)
    store.put([entry(2), entry(1)])
    store.put([entry(3, b"")])
    store.close()
    store = open_store(path, key=key)
    assert [found for found, _ in store.oldest(10)] == [entry(2), entry(1), entry(3, b"")]
    assert [found.id for found, _ in store.oldest(1, but={entry(2).id})] == [entry(1).id]
    assert len(store) == 3
    assert store.known(entry(1).id)
    assert not store.known(entry(4).id)
    assert path.stat().st_mode & 0o077 == 0
    store.close()


def test_what_is_put_twice_waits_once(path: Path) -> None:
    store = open_store(path)
    store.put([entry(1)])
    size = store.size
    store.put([entry(1, b"another frame")])
    assert (len(store), store.size) == (1, size)
    assert store.oldest(2)[0][0].frame == b"frame"
    store.close()


def test_done_ends_the_wait_and_is_remembered_as_long_as_asked(path: Path) -> None:
    clocks = Clocks()
    store = open_store(path, clocks)
    store.put([entry(1), entry(2), entry(3)])
    ids = [entry(number).id for number in (1, 2, 3)]
    store.done([Done(ids[0], math.inf), Done(ids[1], 60.0), Done(ids[2])], {"out": "17"})
    assert (len(store), store.size) == (0, 0)
    assert [store.known(one) for one in ids] == [True, True, False]
    clocks.clock += 61
    store.tidy()
    store.close()
    store = open_store(path, clocks)
    assert [store.known(one) for one in ids] == [True, False, False]
    assert (store.mark("out"), store.mark("other")) == ("17", "")
    store.close()


def test_a_full_spool_takes_all_or_nothing(path: Path) -> None:
    size = len(entry(1).packed())
    store = open_store(path, max_bytes=2 * size)
    store.put([entry(1)])
    with pytest.raises(SpoolFullError, match=rf"full: {size} of {2 * size} bytes wait; raise spool.max_bytes"):
        store.put([entry(2), entry(3)])
    assert len(store) == 1
    store.put([entry(2)])
    store.done([Done(entry(1).id)])
    store.put([entry(3)])
    assert [found.id for found, _ in store.oldest(5)] == [entry(2).id, entry(3).id]
    store.close()


@pytest.mark.parametrize(
    ("clock", "uptime", "boot", "age"),
    [
        (1e9 + 50, 150.0, "one", 50.0),
        (1e9 + 1e8, 150.0, "one", 50.0),
        (1.0, 150.0, "one", 50.0),
        (1e9 + 70, 3.0, "two", 70.0),
        (1.0, 3.0, "two", 0.0),
    ],
)
def test_ages_survive_a_jump_of_the_clock(path: Path, clock: float, uptime: float, boot: str, age: float) -> None:
    clocks = Clocks()
    store = open_store(path, clocks)
    assert store.oldest_age() == 0.0
    store.put([entry(1)])
    clocks.clock, clocks.uptime, clocks.boot = clock, uptime, boot
    assert store.oldest(1)[0][1] == pytest.approx(age)
    assert store.oldest_age() == pytest.approx(age)
    store.close()


def test_the_clocks_of_this_machine() -> None:
    first = Moment.now()
    assert 0 <= first.age(Moment.now()) < 60


def test_nothing_readable_lies_in_an_encrypted_spool(path: Path) -> None:
    store = open_store(path, key=KEY)
    store.put([entry(1, b"a frame that nobody is to see")])
    store.close()
    for file in path.parent.iterdir():
        data = file.read_bytes()
        assert b"nobody is to see" not in data
        assert b"photo 1" not in data


@pytest.mark.parametrize(("key", "says"), [("", "are encrypted; give spool.key"), ("f" * 64, "another key")])
def test_the_wrong_key_is_an_error_at_once_and_loses_nothing(path: Path, key: str, says: str) -> None:
    store = open_store(path, key=KEY)
    store.put([entry(1)])
    store.close()
    with pytest.raises(ConfigError, match=says):
        open_store(path, key=key)
    store = open_store(path, key=KEY)
    assert store.oldest(1)[0][0] == entry(1)
    store.close()


def test_plain_entries_are_read_where_a_key_came_later(path: Path) -> None:
    store = open_store(path)
    store.put([entry(1)])
    store.close()
    store = open_store(path, key=KEY)
    store.put([entry(2)])
    assert [found for found, _ in store.oldest(2)] == [entry(1), entry(2)]
    store.close()


@pytest.mark.parametrize("key", ["", "ab", "x" * 64, "é" * 64])
def test_keys_that_are_none(key: str) -> None:
    with pytest.raises(ConfigError, match="64 hexadecimal digits"):
        Cipher(key)


def test_a_file_that_is_no_database(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"something else entirely, and long enough to be looked at" * 100)
    with pytest.raises(OutputError, match="not a database"):
        open_store(path)


def test_a_state_of_a_later_version_is_left_alone(path: Path) -> None:
    open_store(path).close()
    with sqlite3.connect(path) as database:
        database.execute(f"PRAGMA user_version = {VERSION + 1}")
    database.close()
    with pytest.raises(ConfigError, match=f"of version {VERSION + 1} .* update it"):
        open_store(path)


def test_a_failed_commit_keeps_nothing_and_the_next_one_works(path: Path) -> None:
    store = open_store(path)
    other = sqlite3.connect(path, isolation_level=None)
    store._database.execute("PRAGMA busy_timeout = 1")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OutputError, match="locked"):
        store.put([entry(1)])
    with pytest.raises(OutputError, match="locked"):
        store.done([Done(entry(1).id)])
    assert (len(store), store.size) == (0, 0)
    other.execute("ROLLBACK")
    other.close()
    store.put([entry(1)])
    assert len(store) == 1
    store.close()


def test_a_damaged_entry_stands_in_nobodys_way(path: Path) -> None:
    store = open_store(path)
    store.put([entry(1), entry(2)])
    store._database.execute("UPDATE spool SET body = x'00' WHERE number = 1")
    assert store.oldest(1) == []
    assert [found.id for found, _ in store.oldest(5)] == [entry(2).id]
    assert len(store) == 2
    store.close()


@pytest.mark.parametrize("data", [b"", b"\xff\xff\xff\xff{}", b"\x02\0\0\0{}", b"\x02\0\0\0[]frame", b"\x04\0\0\0null"])
def test_damaged_entries_are_an_error(data: bytes) -> None:
    with pytest.raises(OutputError, match="damaged"):
        unpack(data)


def test_an_entry_keeps_every_field() -> None:
    odd = replace(entry(1), name="caf\u00e9 \udce9", tasks=(), frame=bytes(range(256)))
    assert unpack(odd.packed()) == odd
