"""`splitnet calibrate` as a person runs it: a tiny network, photos, a bundle that is better or untouched."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splitnet.bundle import Bundle
from splitnet.bundle.build import build_bundle
from splitnet.bundle.source import ImportOptions, SourceTask


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Ten smooth random pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    generator = np.random.default_rng(5)
    for number in range(10):
        small = generator.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(small).resize((24, 20), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    return folder


@pytest.fixture
def bundle(tiny_network: Path, tmp_path: Path) -> Bundle:
    """The tiny network with a classification."""
    options = ImportOptions(tasks=(SourceTask("words", "classification", "scores"),))
    return build_bundle(tiny_network, tmp_path / "bundle", cuts=("c2", "r2"), options=options)


def _calibrate(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "splitnet", "calibrate", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


def test_the_bundle_gets_profile_curve_and_graphs(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    before = bundle.fingerprint
    done = _calibrate(bundle.path, "--data", data, "--cuts", "c2", "--folds", 2, "--steps", "0.5,1,2")
    assert done.returncode == 0, done.stderr
    assert "c2: 10 photos, 2 folds, probing" in done.stdout
    found = Bundle.load(bundle.path)
    found.verify()
    assert found.fingerprint != before
    transform = found.cut("c2").transform
    assert transform is not None
    assert found.cut("r2").transform is None
    assert transform.curve is not None
    curve = json.loads(found.open_bytes(transform.curve))
    assert [row["step"] for row in curve["rows"]] == [0.5, 1.0, 2.0]
    assert curve["method"] == "probing"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", "photos", "tiny.onnx"]


def test_out_leaves_the_given_bundle_alone(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    done = _calibrate(
        bundle.path, "--data", data, "--cuts", "c2", "--folds", 2, "--steps", "1", "--out", tmp_path / "new"
    )
    assert done.returncode == 0, done.stderr
    assert Bundle.load(bundle.path).fingerprint == bundle.fingerprint
    assert Bundle.load(tmp_path / "new").cut("c2").transform is not None


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--folds", 5), 2, "holds 10 photos; calibration needs at least 20"),
        (("--cuts", "c9"), 2, "c9"),
        (("--steps", "1,zero"), 2, "1,zero"),
        (("--steps", "0.001"), 2, "0.03125"),
        (("--weights", "words"), 2, "TASK=WEIGHT"),
        (("--weights", "nose=1", "--folds", 2), 2, "nose"),
        (("--draws", 3), 2, "--draws 3 is odd"),
        (("--method", "fisher", "--folds", 2), 2, "use --method probing"),
    ],
)
def test_what_cannot_be_used_is_one_line_and_changes_nothing(
    bundle: Bundle, data: Path, arguments: tuple[object, ...], code: int, message: str
) -> None:
    done = _calibrate(bundle.path, "--data", data, *arguments)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert Bundle.load(bundle.path).fingerprint == bundle.fingerprint


def test_an_unreadable_photo_is_named(bundle: Bundle, data: Path) -> None:
    (data / "3.png").write_bytes(b"\x89PNG broken")
    done = _calibrate(bundle.path, "--data", data, "--folds", 2)
    assert done.returncode == 5
    assert "3.png" in done.stderr
    assert Bundle.load(bundle.path).fingerprint == bundle.fingerprint


def test_photos_that_are_all_alike_are_refused(bundle: Bundle, data: Path) -> None:
    for number in range(1, 10):
        shutil.copy(data / "0.png", data / f"{number}.png")
    done = _calibrate(bundle.path, "--data", data, "--folds", 2)
    assert done.returncode == 2
    assert "only 1 of the 10 photos differ" in done.stderr
