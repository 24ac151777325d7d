"""A calibration from photos to a measured curve: the same every time, resumable, and clear about bad input."""

from __future__ import annotations

import hashlib
import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import featcodec
from splitnet.bundle import Bundle
from splitnet.bundle.build import build_bundle
from splitnet.bundle.source import ImportOptions, SourceTask
from splitnet.calibrate import calibration
from splitnet.calibrate.calibration import Calibrated, CutCalibration, Settings
from splitnet.calibrate.curve import default_step
from splitnet.calibrate.photos import find_photos
from splitnet.errors import ImageError, UsageError

PROBING = Settings(method="probing", steps=(0.5, 2.0), folds=2)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve smooth random pictures."""
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(5)
    for number in range(12):
        small = generator.integers(0, 256, (5, 5, 3), dtype=np.uint8)
        Image.fromarray(small).resize((24, 20), Image.Resampling.BICUBIC).save(folder / f"{number:02}.png")
    return folder


@pytest.fixture
def bundle(tiny_network: Path, tmp_path: Path) -> Bundle:
    """The tiny network with a classification and an embedding."""
    tasks = (SourceTask("words", "classification", "scores"), SourceTask("face", "embedding", "vector"))
    return build_bundle(
        tiny_network, tmp_path / "bundle", cuts=("r1", "c2", "flat"), options=ImportOptions(tasks=tasks)
    )


def _run(bundle: Bundle, cut: str, data: Path, work: Path, settings: Settings = PROBING, **more: Any) -> Calibrated:
    return CutCalibration(bundle, cut, find_photos(data, settings.folds), settings, work, **more).run()


@pytest.mark.parametrize("cut", ["r1", "c2", "flat"])
def test_every_kind_of_cut_calibrates_and_finer_steps_cost_more_and_lose_less(
    bundle: Bundle, cut: str, data: Path, tmp_path: Path
) -> None:
    found = _run(bundle, cut, data, tmp_path / "work")
    fine, coarse = found.curve.rows
    assert fine["bytes"] > coarse["bytes"]
    assert fine["words.kl"] < coarse["words.kl"]
    assert fine["face.cosine_distance"] <= coarse["face.cosine_distance"]
    assert fine["bytes_low"] <= fine["bytes"] <= fine["bytes_high"]
    assert found.profile.metadata["cut"] == cut
    assert found.profile.metadata["method"] == found.curve.method == "probing"
    assert len(found.crossfit) == 2
    assert len({profile.fingerprint for profile in (*found.crossfit, found.profile)}) == 3


def test_the_same_photos_and_seed_give_the_same_profile(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    first, second = (_run(bundle, "c2", data, tmp_path / name) for name in ("a", "b"))
    assert first.profile.fingerprint == second.profile.fingerprint
    assert first.curve == second.curve
    other = Settings(method="probing", steps=(0.5, 2.0), folds=2, seed=1)
    assert _run(bundle, "c2", data, tmp_path / "c", other).profile.fingerprint != first.profile.fingerprint


def test_an_interrupted_run_goes_on_and_ends_with_the_same_profile(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    whole = _run(bundle, "c2", data, tmp_path / "whole")
    for stop in ("running", "covariances", "probing 2", "profile 1", "measuring"):
        work = tmp_path / stop

        def interrupt(what: str, done: int, total: int, stop: str = stop) -> None:
            if what.startswith(stop):
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            _run(bundle, "c2", data, work, advance=interrupt)
        again = _run(bundle, "c2", data, work)
        assert again.profile.fingerprint == whole.profile.fingerprint
        assert again.curve == whole.curve


def test_a_finished_part_is_not_done_again_and_other_photos_start_over(
    bundle: Bundle, data: Path, tmp_path: Path
) -> None:
    _run(bundle, "c2", data, tmp_path / "work")
    steps: list[str] = []
    _run(bundle, "c2", data, tmp_path / "work", advance=lambda what, *_: steps.append(what))
    assert set(steps) == {"measuring the curve"}
    fewer = tmp_path / "fewer"
    shutil.copytree(data, fewer)
    (fewer / "00.png").unlink()
    _run(bundle, "c2", fewer, tmp_path / "work", advance=lambda what, *_: steps.append(what))
    assert "running the first layers" in steps


def test_other_default_weights_start_over(
    bundle: Bundle, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = _run(bundle, "c2", data, tmp_path / "work")
    monkeypatch.setitem(calibration.WEIGHTS, "embedding", 7.0)
    assert _run(bundle, "c2", data, tmp_path / "work").profile.fingerprint != first.profile.fingerprint


def test_gradients_and_probing_agree_on_what_matters(
    lite0_bundle: Bundle, photos: tuple[Path, ...], tmp_path: Path
) -> None:
    """Few photos and draws, so only roughly: the two ways to measure the same matrices."""
    data = tmp_path / "photos"
    data.mkdir()
    for photo in photos[:8]:
        shutil.copy(photo, data)
    settings = Settings(folds=2, draws=2, steps=(1.0, 2.0))
    found = _run(lite0_bundle, "block10", data, tmp_path / "work", settings)
    assert found.curve.method == "fisher"
    fine, coarse = found.curve.rows
    assert 0 < fine["classification.kl"] < coarse["classification.kl"]
    assert fine["classification.agreement"] >= 0.5
    frame = featcodec.encode(np.zeros((1, 112, 14, 14), np.float32), "transform:step=1|rans", profile=found.profile)
    assert featcodec.info(frame).fingerprint == found.profile.fingerprint[:8]


def test_the_default_step_is_the_largest_that_is_good_enough(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    curve = _run(bundle, "c2", data, tmp_path / "work").curve
    losses = [row["words.kl"] for row in curve.rows]
    assert curve.loss == "words.kl"
    assert default_step(curve, losses[0]) == 0.5
    assert default_step(curve, math.inf) == 2.0
    assert default_step(curve, 0.0) == 0.5


def test_too_few_photos_say_how_many_are_needed(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds 12 photos; calibration needs at least 20"):
        find_photos(data, 5)
    with pytest.raises(UsageError, match="not a folder"):
        find_photos(tmp_path / "missing", 5)


def test_copies_of_one_photo_do_not_pass_for_data(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    same = tmp_path / "same"
    same.mkdir()
    for number in range(12):
        shutil.copy(data / "03.png", same / f"{number}.png")
    with pytest.raises(UsageError, match="only 1 of the 12 photos differ"):
        _run(bundle, "c2", same, tmp_path / "work")


def test_an_unreadable_photo_is_named_and_nothing_is_kept(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(data, broken)
    (broken / "07.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"07\.png"):
        _run(bundle, "c2", broken, tmp_path / "work")
    assert not list((tmp_path / "work").rglob("*.npy"))


def test_weights_of_unknown_tasks_and_all_zero_are_errors(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    for weights, message in (
        ({"nose": 1.0}, "no task 'nose'"),
        ({"words": -1.0}, "weight of task 'words' is -1"),
        ({"words": 0.0, "face": 0.0}, "at least one must count"),
    ):
        with pytest.raises(UsageError, match=message):
            _run(bundle, "c2", data, tmp_path / "work", Settings(method="probing", folds=2, weights=weights))
    with pytest.raises(UsageError, match="no gradients"):
        _run(bundle, "c2", data, tmp_path / "work", Settings(folds=2))


def test_a_work_folder_with_something_else_in_it_is_left_alone(bundle: Bundle, data: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "work" / "c2"
    foreign.mkdir(parents=True)
    (foreign / "letter.txt").write_text("mine")
    before = hashlib.sha256((foreign / "letter.txt").read_bytes()).digest()
    with pytest.raises(UsageError, match="something else"):
        _run(bundle, "c2", data, tmp_path / "work")
    assert hashlib.sha256((foreign / "letter.txt").read_bytes()).digest() == before
