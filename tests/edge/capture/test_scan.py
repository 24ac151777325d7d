"""Looks at a folder, and which files are whole."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from splitnet.edge.capture.scan import Seen, Settling, files_below

JPEG = frozenset({".jpg"})


def _places(folder: Path, **options: object) -> list[str]:
    return sorted(one.place for one in files_below(folder, JPEG, **options))  # type: ignore[arg-type]  # options as they come


def _seen(place: str, at: float, size: int = 1, changed: int = 1) -> Seen:
    return Seen(place, size, changed, at)


def _write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"photo")
    return path


def test_photos_of_the_folder_and_its_subfolders_are_found(tmp_path: Path) -> None:
    for name in ("a.jpg", "B.JPG", "text.txt", "below/deep/c.jpg"):
        _write(tmp_path / name)
    assert _places(tmp_path) == ["B.JPG", "a.jpg", "below/deep/c.jpg"]
    assert _places(tmp_path, recursive=False) == ["B.JPG", "a.jpg"]


def test_what_somebody_still_writes_or_hides_is_passed_over(tmp_path: Path) -> None:
    for name in (".a.jpg", "a.jpg.tmp", "a.jpg.part", ".hidden/b.jpg"):
        _write(tmp_path / name)
    assert list(files_below(tmp_path, frozenset({".jpg", ".tmp", ".part"}))) == []


def test_links_that_lead_outside_and_what_is_no_file_are_passed_over(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    _write(outside / "secret.jpg")
    _write(inside / "a.jpg")
    (inside / "same.jpg").symlink_to("a.jpg")
    (inside / "leads-out.jpg").symlink_to(outside / "secret.jpg")
    (inside / "leads-up.jpg").symlink_to("../out/secret.jpg")
    (inside / "nowhere.jpg").symlink_to("gone.jpg")
    (inside / "itself.jpg").symlink_to("itself.jpg")
    (inside / "folder").symlink_to(outside)
    (inside / "folder.jpg").mkdir()
    os.mkfifo(inside / "pipe.jpg")
    assert _places(inside) == ["a.jpg", "same.jpg"]


def test_a_folder_that_is_a_link_itself_is_looked_into(tmp_path: Path) -> None:
    _write(tmp_path / "real" / "a.jpg")
    (tmp_path / "link").symlink_to("real")
    assert _places(tmp_path / "link") == ["a.jpg"]


def test_the_folder_apart_is_passed_over(tmp_path: Path) -> None:
    _write(tmp_path / "done" / "a.jpg")
    _write(tmp_path / "other" / "done" / "b.jpg")
    assert _places(tmp_path, apart=tmp_path.resolve() / "done") == ["other/done/b.jpg"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        _places(tmp_path / "nowhere")


def test_a_file_is_taken_once_two_looks_agree() -> None:
    settling = Settling(2.0)
    assert settling.ripe([_seen("a", 10.0)], ()) == []
    assert settling.ripe([_seen("a", 11.9)], ()) == []
    assert settling.ripe([_seen("a", 12.0, size=2)], ()) == [], "it grew"
    assert settling.ripe([_seen("a", 13.9, size=2, changed=2)], ()) == [], "its time is another"
    found = settling.ripe([_seen("a", 15.9, size=2, changed=2)], ())
    assert [one.place for one in found] == ["a"]


def test_a_file_that_was_closed_is_taken_at_once() -> None:
    settling = Settling(60.0)
    found = settling.ripe([_seen("a", 1.0), _seen("b", 1.0)], {"b"})
    assert [one.place for one in found] == ["b"]
    assert settling.waiting == {"a", "b"}


def test_the_oldest_comes_first_then_the_name_decides() -> None:
    look = [_seen("c", 1.0, changed=5), _seen("b", 1.0, changed=9), _seen("a", 1.0, changed=9)]
    assert [one.place for one in Settling(0.0).ripe(look, ())] == ["c", "a", "b"]


def test_a_finished_file_comes_again_only_when_it_changed() -> None:
    settling = Settling(0.0)
    (one,) = settling.ripe([_seen("a", 1.0)], ())
    settling.finish(one)
    assert settling.ripe([_seen("a", 2.0)], {"a"}) == []
    assert settling.waiting == frozenset()
    assert len(settling.ripe([_seen("a", 3.0, size=2)], ())) == 1


def test_what_left_the_folder_is_forgotten() -> None:
    settling = Settling(0.0)
    (one,) = settling.ripe([_seen("a", 1.0)], ())
    settling.finish(one)
    assert settling.ripe([], ()) == []
    assert len(settling.ripe([_seen("a", 2.0)], ())) == 1


def test_the_next_look_is_due_when_the_first_file_has_settled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("splitnet.edge.capture.scan.time.monotonic", lambda: 11.0)
    settling = Settling(2.0)
    assert settling.pause() is None
    settling.ripe([_seen("a", 10.0), _seen("b", 11.0)], ())
    assert settling.pause() == 1.0
