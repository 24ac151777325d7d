"""SIGKILL at any moment: whatever was written is there once and whole."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.edge.sinks.writer import KINDS, large_record

KILLS = 12


class Writer:
    """The other program."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.edge.sinks.writer"]
        self._program = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run_and_kill(self, order: tuple[str, str, str, int], batches: int, pause: float) -> tuple[int, str]:
        """Let it begin so many batches and kill it a moment later: what it said last, of what was heard until then."""
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.write(json.dumps(order) + "\n")
        self._program.stdin.flush()
        process = int(self._program.stdout.readline().removeprefix("process "))
        for _ in range(batches):
            said = self._program.stdout.readline()
            assert said != "end\n", "it failed by itself"
        time.sleep(pause)
        os.kill(process, signal.SIGKILL)
        # What it says meanwhile is not heard, as by a daemon that is killed before it can note it.
        while self._program.stdout.readline() != "end\n":
            pass
        number, _, mark = said.rstrip("\n").partition(" ")
        return int(number), mark

    def close(self) -> None:
        assert self._program.stdin is not None
        assert self._program.stdout is not None
        self._program.stdin.close()
        # A process that was not killed ends when nobody listens.
        self._program.stdout.close()
        self._program.wait(20)


@pytest.fixture(scope="module")
def writer() -> Iterator[Writer]:
    made = Writer()
    yield made
    made.close()


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def _files(path: Path) -> list[dict[str, Any]]:
    values = [json.loads(one.read_bytes()) for one in path.iterdir()]
    return sorted(values, key=lambda value: float(value["captured"]))


def _rows(path: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as connection:
        connection.row_factory = sqlite3.Row
        rows = [dict(row) for row in connection.execute("SELECT * FROM records ORDER BY rowid")]
    for row in rows:
        row["results"] = json.loads(row["results"])
        del row["spooled"]
    return rows


READ = {"jsonl": _lines, "folder": _files, "sqlite": _rows}


@pytest.mark.parametrize("kind", list(KINDS))
def test_each_record_is_there_once_after_a_dozen_kills(writer: Writer, tmp_path: Path, kind: str) -> None:
    path, chance = tmp_path / "records", random.Random(kind)
    number, mark = 0, ""
    for _ in range(KILLS):
        order = (kind, str(path), mark, number)
        number, mark = writer.run_and_kill(order, chance.randint(1, 7), chance.uniform(0, 0.01))
    sink = KINDS[kind](path)
    list(sink.resume(mark))
    sink.close()
    there = READ[kind](path)
    assert len(there) >= number >= KILLS
    for expected, value in enumerate(there):
        assert value == large_record(expected).as_dict()
