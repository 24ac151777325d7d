"""Other networks: photos with words, features of a case, bytes at a level of a task's distortion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import networks
from splitnet.calibrate.curve import Measured


def test_words_are_the_same_every_time(
    photos: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(networks, "OUT", tmp_path)
    first = [path.read_bytes() for path in networks._with_words(photos[:2])]
    assert [path.read_bytes() for path in networks._with_words(photos[:2])] == first
    with Image.open(networks._with_words(photos[:1])[0]) as picture:
        assert picture.size == (networks.SIDE, networks.SIDE)


def test_bytes_at_a_distortion() -> None:
    steps = [
        Measured(np.full(3, size), {"map": np.full(3, lost)}, {}) for size, lost in ((400.0, 0.09), (1600.0, 0.01))
    ]
    assert networks._bytes(steps, "map", 0.03, np.full(3, 1 / 3)) == pytest.approx(800)
    assert np.isnan(networks._bytes(steps, "map", 0.2, np.full(3, 1 / 3)))


def test_photos_are_evenly_spaced() -> None:
    paths = [Path(str(number)) for number in range(10)]
    assert networks._some(paths, 5) == paths[::2]
    assert networks._some(paths, 50) == paths


def test_without_networks_rows_say_what_they_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "_detector", lambda: None)
    found = networks.measure(True)
    assert not found.figures
    assert [row["missing"] for row in found.rows] == ["--faces FOLDER", "pip install --no-deps rapidocr==3.10.0"]
