"""A file a record: whole, and never written again."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from splitnet.edge.sinks.folder import Folder
from splitnet.errors import OutputError
from tests.edge.sinks.records import ids, largest_file, make_record, make_records, watch_disk


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "answers"


def _written(path: Path) -> set[str]:
    return {one.name for one in path.iterdir()}


def test_a_record_is_a_file(path: Path) -> None:
    sink = Folder(path)
    assert list(sink.resume("")) == []
    sink.write(make_records(1, 2))
    assert _written(path) == {f"{one}.json" for one in ids(1, 2)}
    for record in make_records(1, 2):
        text = (path / f"{record.id}.json").read_text(encoding="utf-8")
        assert json.loads(text) == record.as_dict()
        assert text.startswith("{\n")
        assert text.endswith("}\n")
        assert "Tür" in text
    assert sink.mark == ""


def test_a_name_that_is_no_text_comes_back(path: Path) -> None:
    record = make_record(1, name=os.fsdecode(b"\xff.jpg"))
    Folder(path).write([record])
    assert json.loads((path / f"{record.id}.json").read_bytes())["name"] == record.name


def test_a_file_that_is_there_is_left_alone(path: Path) -> None:
    sink = Folder(path)
    sink.write(make_records(1))
    mine = path / f"{make_record(1).id}.json"
    mine.write_text("mine", encoding="utf-8")
    sink.write(make_records(1, 2))
    assert mine.read_text(encoding="utf-8") == "mine"
    assert _written(path) == {f"{one}.json" for one in ids(1, 2)}


def test_resume_removes_what_was_half_written_and_nothing_else(path: Path) -> None:
    path.mkdir()
    others = {".hidden.tmp", f"{make_record(1).id}.tmp", f".{make_record(1).id}", "notes.txt"}
    for name in {*others, f".{make_record(1).id}.tmp", f".{make_record(2).id}.tmp"}:
        (path / name).write_text("{", encoding="utf-8")
    assert list(Folder(path).resume("")) == []
    assert _written(path) == others


def test_what_is_left_of_a_write_is_written_over(path: Path) -> None:
    path.mkdir()
    (path / f".{make_record(1).id}.tmp").write_text("x" * 10_000, encoding="utf-8")
    Folder(path).write(make_records(1))
    assert json.loads((path / f"{make_record(1).id}.json").read_bytes()) == make_record(1).as_dict()


def test_a_write_that_ends_half_way_leaves_whole_files_only(path: Path) -> None:
    sink = Folder(path)
    large = make_record(2, name="x" * 5000)
    with largest_file(3000), pytest.raises(OutputError, match=r"cannot write .*answers: File too large"):
        sink.write([make_record(1), large, make_record(3)])
    assert _written(path) == {f"{make_record(1).id}.json"}
    sink.write([make_record(1), large, make_record(3)])
    assert {json.loads((path / name).read_bytes())["id"] for name in _written(path)} == set(ids(1, 2, 3))


def test_a_file_that_cannot_be_synced_does_not_appear(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path.mkdir()
    with monkeypatch.context() as faulty:
        faulty.setattr(os, "fsync", full)
        with pytest.raises(OutputError, match="No space left on device"):
            Folder(path).write(make_records(1))
    assert _written(path) == set()


def test_files_are_synced_before_they_appear_and_their_names_once_a_batch(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = watch_disk(monkeypatch)
    Folder(path).write(make_records(1, 2))
    sizes = [(path / f"{one}.json").stat().st_size for one in ids(1, 2)]
    files = [f".{one}.tmp" for one in ids(1, 2)]
    assert seen == [
        f"sync {path.parent.name}",
        f"sync {files[0]} {sizes[0]}",
        f"rename {files[0]}",
        f"sync {files[1]} {sizes[1]}",
        f"rename {files[1]}",
        "sync answers",
    ]


def test_names_that_a_killed_process_left_in_memory_are_synced(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Folder(path).write(make_records(1))
    seen = watch_disk(monkeypatch)
    Folder(path).write(make_records(1))
    assert seen == ["sync answers"]


def test_a_folder_that_vanished_is_made_again(path: Path) -> None:
    sink = Folder(path)
    sink.resume("")
    path.rmdir()
    sink.write(make_records(1))
    assert _written(path) == {f"{make_record(1).id}.json"}


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for path, reason in ((file, "File exists"), (tmp_path / "no disk" / "x", "No such file or directory")):
        with pytest.raises(OutputError, match=f"^cannot write {path}: {reason}$"):
            Folder(path).resume("")
        with pytest.raises(OutputError, match=f"^cannot write {path}: {reason}$"):
            Folder(path).write(make_records(1))
