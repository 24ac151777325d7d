"""Answered files are deleted or moved, and none is ever lost or overwritten."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from splitnet.edge.capture.aftermath import Aftermath, move
from splitnet.edge.capture.scan import State


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "sub" / "photo.jpg"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"new")
    return path


@pytest.fixture
def other_filesystem(tmp_path: Path) -> Iterator[Path]:
    memory = Path("/dev/shm")
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second filesystem here")
    folder = Path(tempfile.mkdtemp(dir=memory))
    yield folder
    shutil.rmtree(folder)


def _state(path: Path) -> State:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _all(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


def _failing(code: int) -> Callable[..., Any]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(code, os.strerror(code))

    return fail


def test_files_are_deleted(photo: Path, tmp_path: Path) -> None:
    Aftermath(tmp_path / "in", "delete").carry_out("sub/photo.jpg", _state(photo))
    assert not photo.exists()


def test_files_are_moved_with_their_subfolders(photo: Path, tmp_path: Path) -> None:
    Aftermath(tmp_path / "in", "move", tmp_path / "done").carry_out("sub/photo.jpg", _state(photo))
    assert _all(tmp_path) == {"done/sub/photo.jpg": b"new"}


@pytest.mark.parametrize("after", ["delete", "move"])
def test_a_file_that_changed_since_is_left(photo: Path, tmp_path: Path, after: Any) -> None:
    state = _state(photo)
    photo.write_bytes(b"another photo")
    Aftermath(tmp_path / "in", after, tmp_path / "done").carry_out("sub/photo.jpg", state)
    assert _all(tmp_path) == {"in/sub/photo.jpg": b"another photo"}


def test_a_file_that_is_gone_is_nothing_to_talk_about(tmp_path: Path) -> None:
    with capture_logs() as lines:
        Aftermath(tmp_path, "delete").carry_out("gone.jpg", (1, 1))
    assert lines == []


def test_a_move_that_fails_is_a_line_and_the_file_stays(photo: Path, tmp_path: Path) -> None:
    (tmp_path / "done").write_text("a file where a folder should be")
    with capture_logs() as lines:
        Aftermath(tmp_path / "in", "move", tmp_path / "done").carry_out("sub/photo.jpg", _state(photo))
    (line,) = lines
    assert line["path"] == str(photo)
    assert line["log_level"] == "warning"
    assert photo.read_bytes() == b"new"


def test_nothing_is_overwritten(photo: Path, tmp_path: Path) -> None:
    for name in ("photo.jpg", "photo (2).jpg"):
        (tmp_path / name).write_bytes(b"old")
    assert move(photo, tmp_path / "photo.jpg") == tmp_path / "photo (3).jpg"
    assert _all(tmp_path) == {"photo.jpg": b"old", "photo (2).jpg": b"old", "photo (3).jpg": b"new"}


def test_without_links_nothing_is_overwritten_either(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", _failing(errno.EPERM))
    (tmp_path / "photo.jpg").write_bytes(b"old")
    assert move(photo, tmp_path / "photo.jpg") == tmp_path / "photo (2).jpg"
    assert _all(tmp_path) == {"photo.jpg": b"old", "photo (2).jpg": b"new"}


def test_without_links_a_failure_leaves_no_empty_file(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", _failing(errno.EPERM))
    monkeypatch.setattr(Path, "replace", _failing(errno.EIO))
    with pytest.raises(OSError, match="Input/output"):
        move(photo, tmp_path / "photo.jpg")
    assert _all(tmp_path) == {"in/sub/photo.jpg": b"new"}


def test_a_file_that_cannot_leave_is_not_there_twice(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unlink = Path.unlink

    def stubborn(path: Path, missing_ok: bool = False) -> None:
        if path == photo:
            raise PermissionError(errno.EACCES, "no")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", stubborn)
    with pytest.raises(PermissionError):
        move(photo, tmp_path / "photo.jpg")
    assert _all(tmp_path) == {"in/sub/photo.jpg": b"new"}


def test_across_filesystems_times_stay_and_nothing_is_overwritten(
    photo: Path, tmp_path: Path, other_filesystem: Path
) -> None:
    os.utime(photo, ns=(10**18, 10**18))
    (other_filesystem / "photo.jpg").write_bytes(b"old")
    assert move(photo, other_filesystem / "photo.jpg") == other_filesystem / "photo (2).jpg"
    assert _all(other_filesystem) == {"photo.jpg": b"old", "photo (2).jpg": b"new"}
    assert (other_filesystem / "photo (2).jpg").stat().st_mtime_ns == 10**18
    assert _all(tmp_path) == {}


def test_across_filesystems_a_full_disk_leaves_no_trace(
    photo: Path, tmp_path: Path, other_filesystem: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "copyfileobj", _failing(errno.ENOSPC))
    with pytest.raises(OSError, match="No space"):
        move(photo, other_filesystem / "photo.jpg")
    assert list(other_filesystem.iterdir()) == []
    assert _all(tmp_path) == {"in/sub/photo.jpg": b"new"}
