"""Photos from files, folders and globs."""

from pathlib import Path

import pytest

from splitnet.edge.sources import photos, spread
from splitnet.errors import UsageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.PNG", "notes.txt", "deep/c.webp"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def _names(found: list[Path], folder: Path) -> list[str]:
    return [str(path.relative_to(folder)) for path in found]


def test_a_folder_is_walked_in_order_photos_only(folder: Path) -> None:
    assert _names(list(photos([str(folder)])), folder) == ["a.PNG", "b.jpg", "deep/c.webp"]


def test_a_glob(folder: Path) -> None:
    assert _names(list(photos([f"{folder}/**/*.webp", f"{folder}/*.jpg"])), folder) == ["deep/c.webp", "b.jpg"]


def test_a_file_named_outright_is_taken_whatever_its_ending(folder: Path) -> None:
    assert _names(list(photos([f"{folder}/notes.txt"])), folder) == ["notes.txt"]


def test_each_photo_comes_once(folder: Path) -> None:
    assert _names(list(photos([f"{folder}/b.jpg", str(folder)])), folder) == ["b.jpg", "a.PNG", "deep/c.webp"]


def test_brackets_in_a_name_are_not_a_glob(tmp_path: Path) -> None:
    (tmp_path / "photo[1].jpg").write_bytes(b"x")
    assert _names(list(photos([f"{tmp_path}/photo[1].jpg"])), tmp_path) == ["photo[1].jpg"]


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("missing.jpg", "does not exist"),
        ("*.gif", "matches no files"),
        ("emp*", "matches no files"),
        ("empty", "no photos"),
    ],
)
def test_nothing_found_names_the_source(tmp_path: Path, source: str, says: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=says):
        list(photos([str(tmp_path / source)]))


def test_a_spread_keeps_both_ends_and_repeats_nothing() -> None:
    found = [Path(str(number)) for number in range(11)]
    assert spread(found, 11) == spread(found, 99) == found
    assert [int(str(one)) for one in spread(found, 3)] == [0, 5, 10]
    assert len(set(spread(found, 10))) == 10
