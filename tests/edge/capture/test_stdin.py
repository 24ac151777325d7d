"""Paths on standard input."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from splitnet.edge.capture.lines import LONGEST
from splitnet.edge.capture.stdin import PathLines
from splitnet.edge.config.sources import StdinSource
from splitnet.errors import SourceError
from tests.edge.capture.intake import SECONDS, FakeIntake, running


@pytest.fixture
def pipe() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """What the source reads, and where the test writes."""
    inner, outer = os.pipe()
    with os.fdopen(inner, "rb") as reading, os.fdopen(outer, "wb", buffering=0) as writing:
        yield reading, writing


def _source(stream: BinaryIO) -> PathLines:
    return PathLines("list", StdinSource(kind="stdin", sink="s"), stream)


async def _all(data: bytes, known: list[str] | None = None) -> FakeIntake:
    intake = FakeIntake(known or ())
    async with asyncio.timeout(SECONDS):
        await _source(io.BytesIO(data)).run(intake)
    return intake


def _photos(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_bytes(b"photo")


async def test_each_line_is_a_path_and_blank_ones_are_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    _photos(tmp_path, "a.jpg", " b.jpg", "c.jpg")
    intake = await _all(f"a.jpg\n\n  \r\n b.jpg\r\n{tmp_path}/c.jpg".encode())
    assert [item.photo for item in intake.items] == [Path("a.jpg"), Path(" b.jpg"), tmp_path / "c.jpg"]
    assert {item.source for item in intake.items} == {"list"}


async def test_the_same_file_is_answered_once_whatever_it_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    _photos(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "x").mkdir()
    first = await _all(b"a.jpg\na.jpg\nb.jpg\n./a.jpg\nx/../a.jpg\n" + os.fsencode(tmp_path / "a.jpg"))
    assert first.names == ["a.jpg", "b.jpg"]
    os.utime("b.jpg", ns=(1, 1))
    again = await _all(b"a.jpg\nb.jpg\n", known=[item.id for item in first.items])
    assert again.names == ["b.jpg"], "it changed since"


async def test_a_path_that_is_none_is_offered_for_its_record_to_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    intake = await _all(b"nowhere.jpg\nzero\0byte\nnowhere.jpg\n" + b"x" * (LONGEST + 9) + b"\nlast.jpg")
    assert [len(str(item.photo)) for item in intake.items] == [11, 9, LONGEST, 8]


async def test_bytes_that_are_no_utf8_are_a_path_all_the_same(tmp_path: Path) -> None:
    path = os.fsencode(tmp_path) + b"/\xff.jpg"
    Path(os.fsdecode(path)).write_bytes(b"photo")
    (item,) = (await _all(path)).items
    assert isinstance(item.photo, Path)
    assert item.photo.read_bytes() == b"photo"
    assert item.name == f"{tmp_path}/\\xff.jpg"


async def test_lines_are_offered_as_they_come(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reading, writing = pipe
    intake = FakeIntake()
    async with asyncio.timeout(SECONDS), running(_source(reading), intake) as task:
        writing.write(b"one.jpg\ntwo")
        await intake.until(1)
        writing.write(b".jpg\n")
        await intake.until(2)
        writing.close()
        await task
    assert intake.names == ["one.jpg", "two.jpg"]


async def test_a_line_that_was_read_before_a_reload_is_offered_after_it(pipe: tuple[BinaryIO, BinaryIO]) -> None:
    reading, writing = pipe
    source, full, idle, intake = _source(reading), FakeIntake(), FakeIntake(), FakeIntake()
    writing.write(b"one.jpg\n")
    full.room.clear()
    async with asyncio.timeout(SECONDS):
        async with running(source, full):
            await full.waiting.wait()
        assert full.items == []
        async with running(source, idle):
            await idle.until(1)
        # The thread waits for a line now, for a source that is gone.
        async with running(source, intake) as task:
            writing.write(b"two.jpg\n")
            await intake.until(1)
            writing.close()
            await task
    assert (idle.names, intake.names) == (["one.jpg"], ["two.jpg"])


async def test_while_there_is_no_room_nothing_more_is_read() -> None:
    lines = io.BytesIO(b"x" * 100_000 + b"\n" + b"y.jpg\n" * 100_000)
    intake = FakeIntake()
    intake.room.clear()
    async with asyncio.timeout(SECONDS), running(_source(lines), intake):
        await intake.waiting.wait()
        assert lines.tell() < 300_000


async def test_input_that_cannot_be_read_is_said_in_one_line() -> None:
    closed = io.BytesIO()
    closed.close()
    with pytest.raises(SourceError, match="closed"):
        async with asyncio.timeout(SECONDS):
            await _source(closed).run(FakeIntake())


def test_a_thread_that_waits_for_input_does_not_keep_the_process() -> None:
    program = """
import asyncio
from splitnet.edge.capture.stdin import PathLines
from splitnet.edge.config.sources import StdinSource

class Two:
    def __init__(self): self.left, self.came = 2, asyncio.Event()
    def known(self, item_id): return False
    async def offer(self, item):
        print(item.name)
        self.left -= 1
        if not self.left: self.came.set()

async def main():
    intake = Two()
    task = asyncio.create_task(PathLines("list", StdinSource(kind="stdin", sink="s")).run(intake))
    await intake.came.wait()
    task.cancel()

asyncio.run(main())
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        try:
            process.stdin.write(b"a.jpg\nb.jpg\n")
            process.stdin.flush()
            # Its input stays open all the time.
            assert process.wait(timeout=SECONDS) == 0
            assert (process.stdout.read(), process.stderr.read()) == (b"a.jpg\nb.jpg\n", b"")
        finally:
            process.kill()


def test_the_thread_starts_only_when_somebody_reads() -> None:
    before = threading.active_count()
    _source(io.BytesIO(b"a.jpg"))
    assert threading.active_count() == before
