"""Lines of JSON: what is written is there once, whatever happened to the file."""

from __future__ import annotations

import errno
import json
import os
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.edge.sinks import json_lines
from splitnet.edge.sinks.json_lines import JsonLines
from splitnet.errors import OutputError
from tests.edge.sinks.records import ids, largest_file, make_record, make_records, watch_disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.jsonl"


@pytest.fixture
def sink(path: Path) -> Iterator[JsonLines]:
    made = JsonLines(path)
    yield made
    made.close()


def _resumed(path: Path, mark: str = "") -> list[str]:
    sink = JsonLines(path)
    try:
        return list(sink.resume(mark))
    finally:
        sink.close()


def _written(path: Path) -> list[str]:
    return [json.loads(line)["id"] for line in path.read_bytes().splitlines()]


def test_a_record_is_a_line(sink: JsonLines, path: Path) -> None:
    records = make_records(1, 2, 3)
    sink.write(records[:2])
    sink.write(records[2:])
    assert path.read_text(encoding="utf-8") == "".join(f"{record.line()}\n" for record in records)
    assert [json.loads(line) for line in path.read_bytes().splitlines()] == [record.as_dict() for record in records]


def test_a_name_that_is_no_text_comes_back(sink: JsonLines, path: Path) -> None:
    name = os.fsdecode(b"\xff\\\xfe.jpg")
    sink.write([make_record(1, name=name)])
    assert json.loads(path.read_bytes())["name"] == name


def test_resume_yields_what_was_written_after_the_mark(sink: JsonLines, path: Path) -> None:
    assert list(sink.resume("")) == []
    sink.write(make_records(1, 2))
    first = sink.mark
    sink.write(make_records(3))
    second = sink.mark
    assert _resumed(path, first) == ids(3)
    assert _resumed(path, second) == []
    assert _resumed(path, "") == ids(1, 2, 3)


def test_the_mark_stays_until_something_is_written(sink: JsonLines, path: Path) -> None:
    sink.write(make_records(1))
    before = sink.mark
    sink.write(make_records(2))
    again = JsonLines(path)
    assert list(again.resume(before)) == ids(2)
    assert again.mark == before
    again.write(make_records(3))
    assert _resumed(path, again.mark) == []
    again.close()


def test_lines_that_are_written_meanwhile_are_not_yielded(sink: JsonLines) -> None:
    sink.write(make_records(1, 2))
    found = iter(sink.resume(""))
    assert next(found) == make_record(1).id
    sink.write(make_records(3))
    assert list(found) == ids(2)


def test_a_torn_line_is_cut_off_wherever_it_was_torn(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Hundreds of files: the disk need not keep up.
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
    lines = [record.line().encode() + b"\n" for record in make_records(1, 2)]
    first = JsonLines(path)
    first.write(make_records(1))
    first.close()
    for length in range(len(lines[1]) + 1):
        path.write_bytes(lines[0] + lines[1][:length])
        sink = JsonLines(path)
        whole = length == len(lines[1])
        assert list(sink.resume(first.mark)) == (ids(2) if whole else [])
        assert path.read_bytes() == lines[0] + (lines[1] if whole else b"")
        sink.write(make_records(3))
        sink.close()
        assert _written(path) == (ids(1, 2, 3) if whole else ids(1, 3))


@pytest.mark.parametrize("torn", [b"\0" * 5000, b'{"i\0\0\0\0\0\0', b'{"id":"ab\0\0', b'{"id":"' + b"x" * 200_000])
def test_a_torn_line_may_be_long_or_hold_zeros(path: Path, torn: bytes) -> None:
    whole = make_record(1).line().encode() + b"\n"
    path.write_bytes(whole + torn)
    assert _resumed(path) == ids(1)
    assert path.read_bytes() == whole


def test_a_file_without_a_single_whole_line_is_emptied(path: Path) -> None:
    path.write_bytes(make_record(1).line().encode())
    assert _resumed(path) == []
    assert path.read_bytes() == b""


def test_a_torn_line_is_cut_off_by_a_write_without_resume(sink: JsonLines, path: Path) -> None:
    path.write_bytes(b'{"id":"12')
    sink.write(make_records(1))
    assert _written(path) == ids(1)


def test_another_programs_file_is_left_alone(sink: JsonLines, path: Path) -> None:
    photo = b"\xff\xd8\xff\xe0 \n photo"
    path.write_bytes(photo)
    for attempt in (lambda: sink.write(make_records(1)), lambda: sink.write(make_records(1)), lambda: sink.resume("")):
        with pytest.raises(OutputError, match=r"records\.jsonl ends in the middle of what is no record"):
            attempt()
    assert path.read_bytes() == photo


def test_lines_that_are_no_records_are_skipped(path: Path) -> None:
    others = [b"", b"7", b"[]", b'{"id":5}', b'{"id":""}', b'{"name":"x"}', b"\xff\xfe", b'{"id":"x"', b"[" * 100_000]
    good = [record.line().encode() for record in make_records(1, 2)]
    path.write_bytes(b"\n".join([*others, good[0], *others, good[1]]) + b"\n")
    assert _resumed(path) == ids(1, 2)


def test_a_line_that_is_too_long_is_skipped_in_pieces(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    good = make_record(1).line().encode() + b"\n"
    monkeypatch.setattr(json_lines, "_LONGEST", len(good))
    # Its second piece alone would be a record.
    path.write_bytes(b"x" * len(good) + b'{"id":"12"}\n' + good)
    assert _resumed(path) == ids(1)


@pytest.mark.parametrize("mark", ["nonsense", "7", "-1 2 3", "99999999999999999999999 1 ab", "¹ 2 3", "0"])
def test_a_mark_that_says_nothing_means_all_lines(sink: JsonLines, path: Path, mark: str) -> None:
    sink.write(make_records(1, 2))
    assert _resumed(path, mark) == ids(1, 2)


def test_all_lines_of_a_shorter_file_are_read(sink: JsonLines, path: Path) -> None:
    sink.write(make_records(1, 2))
    path.write_bytes(make_record(3).line().encode() + b"\n")
    assert _resumed(path, sink.mark) == ids(3)


def test_all_lines_of_a_file_that_has_the_same_inode_but_another_text_are_read(sink: JsonLines, path: Path) -> None:
    sink.write(make_records(1, 2))
    with path.open("r+b") as stream:
        stream.write(b"".join(record.line().encode() + b"\n" for record in make_records(3, 4, 5)))
    assert _resumed(path, sink.mark) == ids(3, 4, 5)


def test_all_lines_of_a_copy_are_read(sink: JsonLines, path: Path, tmp_path: Path) -> None:
    sink.write(make_records(1))
    copy = tmp_path / "copy"
    copy.write_bytes(path.read_bytes())
    copy.replace(path)
    assert _resumed(path, sink.mark) == ids(1)


def test_a_file_that_was_rotated_is_followed_by_a_new_one(sink: JsonLines, path: Path, tmp_path: Path) -> None:
    sink.write(make_records(1))
    path.rename(tmp_path / "records.jsonl.1")
    sink.write(make_records(2))
    path.unlink()
    sink.write(make_records(3))
    mark = sink.mark
    sink.write(make_records(4))
    assert _written(tmp_path / "records.jsonl.1") == ids(1)
    assert _written(path) == ids(3, 4)
    assert _resumed(path, mark) == ids(4)


def test_a_write_that_ends_half_way_leaves_the_file_as_it_was(sink: JsonLines, path: Path) -> None:
    sink.write(make_records(1))
    before, mark = path.read_bytes(), sink.mark
    with largest_file(len(before) + 500), pytest.raises(OutputError, match=r"cannot write .*records\.jsonl: File too"):
        sink.write(make_records(2, 3, 4))
    assert path.read_bytes() == before
    assert sink.mark == mark
    sink.write(make_records(2))
    assert _written(path) == ids(1, 2)


def _full(*_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("cutting_back_fails", [False, True])
def test_lines_that_could_not_be_synced_are_taken_back(
    sink: JsonLines, path: Path, monkeypatch: pytest.MonkeyPatch, cutting_back_fails: bool
) -> None:
    sink.write(make_records(1))
    with monkeypatch.context() as faulty:
        faulty.setattr(os, "fsync", _full)
        if cutting_back_fails:
            faulty.setattr(os, "ftruncate", _full)
        with pytest.raises(OutputError, match="No space left on device"):
            sink.write(make_records(2))
    assert _written(path) == (ids(1, 2) if cutting_back_fails else ids(1))
    sink.write(make_records(3, 2))
    assert _written(path) == ids(1, 3, 2)


def test_a_file_that_was_emptied_before_lines_could_be_taken_back_stays_short(
    sink: JsonLines, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.write(make_records(1))
    with monkeypatch.context() as faulty:
        faulty.setattr(os, "fsync", _full)
        faulty.setattr(os, "ftruncate", _full)
        with pytest.raises(OutputError, match="No space left on device"):
            sink.write(make_records(2))
    os.truncate(path, 0)
    sink.write(make_records(2))
    assert _written(path) == ids(2)


def test_a_batch_is_synced_once_and_the_folder_of_a_new_file_too(
    sink: JsonLines, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watch_disk(monkeypatch)
    sink.write(make_records(1, 2))
    first = path.stat().st_size
    sink.write(make_records(3, 4))
    assert seen == [f"sync {path.parent.name}", f"sync {path.name} {first}", f"sync {path.name} {path.stat().st_size}"]


def test_what_a_killed_process_left_in_memory_is_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(make_record(1).line().encode() + b"\n")
    seen = watch_disk(monkeypatch)
    assert _resumed(path) == ids(1)
    assert f"sync {path.name} {path.stat().st_size}" in seen


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "none" / "x", "No such file or directory")):
        sink = JsonLines(path)
        with pytest.raises(OutputError, match=f"^cannot write {path}: {reason}$"):
            sink.resume("")
        with pytest.raises(OutputError, match=f"^cannot write {path}: {reason}$"):
            sink.write(make_records(1))


def test_a_full_device_is_an_error() -> None:
    sink = JsonLines(Path("/dev/full"))
    assert list(sink.resume("")) == []
    with pytest.raises(OutputError, match="No space left on device"):
        sink.write(make_records(1))
    sink.close()


def test_a_pipe_without_a_reader_is_an_error(path: Path) -> None:
    os.mkfifo(path)
    sink = JsonLines(path)
    with pytest.raises(OutputError, match="No such device"):
        sink.write(make_records(1))


def test_a_pipe_is_written_as_fast_as_it_is_read(path: Path) -> None:
    os.mkfifo(path)
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(descriptor, True)
    sink, records = JsonLines(path), [make_record(1, name="x" * 1_000_000), make_record(2)]
    assert list(sink.resume("")) == []
    got: list[bytes] = []

    def read() -> None:
        while part := os.read(descriptor, 1 << 16):
            got.append(part)

    reader = threading.Thread(target=read)
    reader.start()
    sink.write(records)
    sink.close()
    reader.join(20)
    os.close(descriptor)
    assert b"".join(got) == b"".join(record.line().encode() + b"\n" for record in records)


def test_a_dash_is_standard_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    sink = JsonLines(tmp_path / "-")
    assert list(sink.resume("")) == []
    sink.write(make_records(1, 2))
    assert sink.mark == ""
    sink.close()
    print("still open", flush=True)
    assert capfd.readouterr().out.splitlines() == [*(one.line() for one in make_records(1, 2)), "still open"]


def test_standard_output_that_nobody_reads_any_more_is_an_error() -> None:
    kept = os.dup(1)
    reader, writer = os.pipe()
    os.close(reader)
    try:
        os.dup2(writer, 1)
        with pytest.raises(OutputError, match="Broken pipe"):
            JsonLines(Path("-")).write(make_records(1))
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(writer)


@given(
    names=st.lists(st.text(max_size=20), min_size=1, max_size=6),
    noted=st.integers(0, 5),
    torn=st.floats(0, 1),
)
def test_each_record_is_there_once_whatever_was_noted_and_wherever_it_was_torn(
    names: list[str], noted: int, torn: float
) -> None:
    records = [make_record(number, name=name) for number, name in enumerate(names)]
    noted = min(noted, len(records))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", lambda descriptor: None)
        path = Path(folder) / "records.jsonl"
        first = JsonLines(path)
        first.write(records[:noted])
        mark, safe = first.mark, path.stat().st_size
        first.write(records[noted:])
        first.close()
        os.truncate(path, safe + round(torn * (path.stat().st_size - safe)))

        second = JsonLines(path)
        known = [record.id for record in records[:noted]]
        found = list(second.resume(mark))
        assert set(found).isdisjoint(known)
        second.write([record for record in records if record.id not in {*known, *found}])
        second.close()
        assert _written(path) == [record.id for record in records]
