"""Pairs of faces: who is in which, what is counted, and a whole run on photos that stand for faces."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from benchmarks import faces
from splitnet.errors import UsageError

PEOPLE = {str(person): [Path(f"{person}-{photo}") for photo in range(1 + person % 3)] for person in range(11)}


def test_pairs_are_of_one_person_or_of_two_and_the_same_every_time() -> None:
    pairs = faces.choose(PEOPLE)
    same = [{path.name.split("-")[0] for path in pair} for pair in pairs.same]
    different = [{path.name.split("-")[0] for path in pair} for pair in pairs.different]
    assert len(set.union(*same)) == len(same) == 7
    assert all(first != second for first, second in pairs.same)
    assert len(set.union(*different)) == 2 * len(different) == 10
    assert faces.choose(PEOPLE) == pairs
    few = faces.choose(PEOPLE, 3)
    assert (few.same, few.different) == (pairs.same[:3], pairs.different[:3])
    assert len(few.photos) == len({path for pair in (*few.same, *few.different) for path in pair})


def test_what_is_counted() -> None:
    distances = np.array([0.2, 0.5, 0.7, 0.55]), np.array([0.6, 0.9, 0.4])
    figures, row = faces._decisions("", distances)
    assert figures == {"faces.same_below_threshold": 0.75, "faces.different_above_threshold": 0.6667}
    assert row["same_below"] == {"pairs": 4, "right": 3, "interval": [0.3006, 0.9544]}
    assert faces._area(*distances) == pytest.approx(8 / 12)
    assert faces._interval(20, 20)[1] == 1


def test_without_faces_a_row_says_what_it_needs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = faces.measure(True)
    assert (found.figures, found.rows) == ({}, [{"missing": "--faces FOLDER with labels.csv (file, identity)"}])
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert faces.measure(True, tmp_path).rows == [{"missing": "pip install 'splitnet[faces]'"}]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (None, "labels.csv cannot be read"),
        ("file,who\na.jpg,1\n", "needs the columns file and identity"),
        ("file,identity\na.jpg,1\nb.jpg,1\n", "needs two people"),
        ("file,identity\na.jpg,1\nb.jpg,2\n", "two photos of one of them"),
    ],
)
def test_labels_that_make_no_pairs(labels: str | None, message: str, tmp_path: Path) -> None:
    if labels is not None:
        (tmp_path / "labels.csv").write_text(labels)
    with pytest.raises(UsageError, match=message):
        faces.people(tmp_path)


@pytest.mark.timeout(120)
def test_a_run_from_a_folder_to_figures(photos: tuple[Path, ...], tmp_path: Path) -> None:
    if find_spec(faces.NETWORK.weights.package) is None:
        pytest.skip("face-recognition-models is not installed: pip install 'splitnet[faces]'")
    lines = ["file,identity"]
    for index, photo in enumerate(photos[:8]):
        shutil.copy(photo, tmp_path)
        lines.append(f"{photo.name},{index // 2}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    found = faces.measure(True, tmp_path)
    assert (found.figures["faces.same_pairs"], found.figures["faces.different_pairs"]) == (4, 2)
    whole, *split = found.rows
    assert whole["same_below"]["pairs"] == 4
    assert [row["codec"] for row in split] == list(faces.CODECS.values())
    assert 0 < split[0]["largest_change_of_distance"] < split[2]["largest_change_of_distance"] < 0.2
    bytes_ = [found.figures[f"faces.block7.{name}.bytes"] for name in faces.CODECS]
    assert bytes_ == sorted(bytes_, reverse=True)
