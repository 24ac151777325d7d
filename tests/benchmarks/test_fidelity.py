"""The rate-fidelity benchmark end to end, on two or three photos."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import featcodec
from benchmarks import ffmpeg
from benchmarks.fidelity import features, images, report, results, selection, video
from benchmarks.fidelity.curves import resamples
from benchmarks.fidelity.measure import Store, measure
from benchmarks.fidelity.methods import Missing, PhotoMethod, StreamMethod
from benchmarks.fidelity.network import Network, Subject
from benchmarks.fidelity.photos import Crops, find_photos, load_crops
from benchmarks.fidelity.plot import plot
from benchmarks.fidelity.results import Curve
from splitnet.bundle import Bundle
from splitnet.errors import UsageError
from splitnet.runtime import Array

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def network(lite0_bundle: Bundle) -> Network:
    return Network(lite0_bundle)


@pytest.fixture(scope="module")
def crops(lite0_bundle: Bundle) -> Crops:
    return load_crops(find_photos(None, 3), lite0_bundle.manifest.image_input)


@pytest.fixture(scope="module")
def pixels(network: Network, crops: Crops) -> Subject:
    return network.pixels(crops)


@pytest.fixture(scope="module")
def block7(network: Network, crops: Crops, pixels: Subject) -> Subject:
    return network.features("block7", crops, pixels.references)


def jpeg() -> PhotoMethod:
    found = next(one for one in images.variants() if one.label == "JPEG 4:4:4")
    assert isinstance(found, PhotoMethod)
    return found


def test_an_image_file_end_to_end(pixels: Subject) -> None:
    fine, coarse = (measure(jpeg(), quality, pixels, lambda: None) for quality in ("98", "70"))
    assert fine.size.mean() > 2 * coarse.size.mean()
    assert 0 < fine.kl.mean() < coarse.kl.mean() < 1
    assert coarse.cosine.mean() < fine.cosine.mean() < 1
    assert set(fine.agree) <= {0.0, 1.0}


def test_features_end_to_end(block7: Subject) -> None:
    method = next(one for one in features.methods() if one.name == "affine_ctx")
    assert isinstance(method, PhotoMethod)
    point = measure(method, "8", block7, lambda: None)
    assert point.size[0] == len(featcodec.encode(block7.arrays[0], "affine:bits=8|ctx"))
    assert point.kl.max() < 1e-3
    assert point.agree.mean() == 1.0
    assert block7.edge_ms > 0


def test_untouched_features_give_the_unsplit_answer(block7: Subject) -> None:
    method = features.Frames("raw", "raw", "none|raw", ("",))
    assert measure(method, "", block7, lambda: None).kl.max() < 1e-9


@dataclass(frozen=True)
class ByRow:
    """A cross-fitted codec's form: what it does depends on the photo's row."""

    name: str = "by_row"
    label: str = "by row"
    group: str = "ours"
    identity: str = "1"
    settings: Sequence[str] = ("8", "6")

    def encode(self, array: Array, setting: str, row: int) -> bytes:
        return featcodec.encode(array + np.float32(row), f"affine:bits={setting}|zlib") + b"x" * row

    def decode(self, data: bytes, setting: str, row: int) -> Array:
        return featcodec.decode(data[: len(data) - row]) - np.float32(row)


def test_a_method_is_told_the_photos_row(network: Network, crops: Crops, pixels: Subject) -> None:
    kept = Crops(crops.pixels[1:], crops.rows[1:], crops.labels[1:])
    subject = network.features("block7", kept, pixels.references[1:])
    assert subject.rows == (1, 2)
    assert measure(ByRow(), "8", subject, lambda: None).kl.max() < 1e-3


def test_a_method_that_changes_the_shape_is_found(pixels: Subject) -> None:
    @dataclass(frozen=True)
    class Broken(ByRow):
        def decode(self, data: bytes, setting: str, row: int) -> Array:
            return np.zeros((2, 2, 3), np.uint8)

    with pytest.raises(AssertionError, match=r"by row 8 gave uint8 \(2, 2, 3\)"):
        measure(Broken(), "8", pixels, lambda: None)


def test_measurements_are_kept(tmp_path: Path, pixels: Subject) -> None:
    store = Store(tmp_path)
    first = store.point(jpeg(), "90", pixels, lambda: None)
    (path,) = tmp_path.iterdir()
    written = path.stat().st_mtime_ns
    again = store.point(jpeg(), "90", pixels, lambda: None)
    np.testing.assert_array_equal(first.kl, again.kl)
    assert path.stat().st_mtime_ns == written
    store.point(jpeg(), "92", pixels, lambda: None)
    store.point(jpeg(), "90", replace(pixels, digest="other"), lambda: None)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_damaged_measurement_is_taken_again(tmp_path: Path, pixels: Subject) -> None:
    store = Store(tmp_path)
    first = store.point(jpeg(), "90", pixels, lambda: None)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:200])
    np.testing.assert_array_equal(store.point(jpeg(), "90", pixels, lambda: None).size, first.size)


def test_the_fastest_of_the_equally_good_is_chosen(tmp_path: Path, pixels: Subject) -> None:
    variants = [one for one in images.variants() if one.name == "jpeg"]
    shown: list[str] = []
    chosen, trials = selection.select(variants, (pixels, pixels), Store(tmp_path), images.TRIAL, 1.0, shown.append)
    assert [one.label for one in chosen] == [one.label for one in trials if one.chosen]
    assert shown[:3] == [one.label for one in variants]
    fewest = min(one.more for one in trials if one.more == one.more)
    assert all(one.more <= selection.EQUAL * fewest for one in trials if one.chosen)


def test_where_all_are_too_slow_the_fastest_is_chosen(tmp_path: Path, pixels: Subject) -> None:
    variants = [one for one in images.variants() if one.name == "jpeg"]
    step = dict[str, str]().get
    chosen, trials = selection.select(variants, (pixels, pixels), Store(tmp_path), images.TRIAL, 1e-9, step)
    assert [one.label for one in chosen] == [min(trials, key=lambda one: one.seconds).label]
    assert all(one.few != one.few for one in trials)


def test_channels_as_a_picture_and_back() -> None:
    array = np.random.default_rng(3).standard_normal((6, 4, 4)).astype(np.float32)
    ends = np.float32(array.min()), np.float32(array.max())
    picture = video.picture(array, *ends)
    assert (picture.shape, int(picture.min()), int(picture.max())) == ((8, 12), 0, 1023)
    np.testing.assert_allclose(video.features(picture, *ends, array.shape), array, atol=float(np.ptp(array)) / 2046)


def test_constant_features_survive() -> None:
    array = np.full((4, 2, 2), 3.5, np.float32)
    picture = video.picture(array, array.min(), array.max())
    np.testing.assert_array_equal(video.features(picture, array.min(), array.max(), array.shape), array)


@pytest.mark.parametrize("label", ["x265 medium", "VVC faster"])
def test_video_end_to_end(block7: Subject, label: str) -> None:
    found = {one.label: one for one in video.variants()}
    method = found.get(label)
    if not isinstance(method, StreamMethod):  # ffmpeg comes with the extra `bench`, which the tests do not install
        pytest.skip("; ".join(one.why for one in found.values() if isinstance(one, Missing)))
    fine, coarse = (measure(method, qp, block7, lambda: None) for qp in ("28", "40"))
    assert fine.size.mean() > 2 * coarse.size.mean()
    assert fine.kl.mean() < 0.1
    assert fine.kl.mean() < coarse.kl.mean()


def test_a_missing_peer_is_a_row_that_says_why(monkeypatch: pytest.MonkeyPatch, pixels: Subject) -> None:
    monkeypatch.setattr(ffmpeg, "program", lambda: "")
    missing = list(video.variants())
    assert [one.label for one in missing] == ["x265", "VVC"]
    points = {quality: measure(jpeg(), quality, pixels, lambda: None) for quality in ("70", "98")}
    curves = [Curve(jpeg(), points), *(Curve(one, {}) for one in missing)]
    rows = results.summarise("block7", curves, resamples(3, 20))
    assert [row.note for row in rows] == ["", ffmpeg.INSTALL, ffmpeg.INSTALL]
    assert rows[1].as_dict()["note"] == ffmpeg.INSTALL
    assert not any("x265" in name for name in results.figures(rows))
    with (console := Console(width=120)).capture() as printed:
        console.print(report.terminal_table("t", rows))
    assert "not measured" in printed.get()
    assert "VVC" not in plot(curves, resamples(3, 20))


def test_accuracy_counts_labelled_photos_only() -> None:
    assert results.accuracy(np.array([1.0, 2.0, 3.0]), [1, None, 4]) == 0.5
    assert np.isnan(results.accuracy(np.array([1.0]), [None]))


def test_labels_come_with_the_folder(tmp_path: Path, photos: tuple[Path, ...]) -> None:
    (tmp_path / "a.jpg").write_bytes(photos[0].read_bytes())
    (tmp_path / "b.jpg").write_bytes(photos[1].read_bytes())
    (tmp_path / "labels.csv").write_text("file,imagenet_index,label\nb.jpg,7,cock\n", encoding="utf-8")
    assert [(one.path.name, one.label) for one in find_photos(tmp_path, None)] == [("a.jpg", None), ("b.jpg", 7)]
    (tmp_path / "labels.csv").write_text("name\nb.jpg\n", encoding="utf-8")
    with pytest.raises(UsageError, match="imagenet_index"):
        find_photos(tmp_path, None)


def test_from_the_command_line(tmp_path: Path, lite0_bundle: Bundle) -> None:
    done = _run("--bundle", str(lite0_bundle.path), "--only", "jpeg,clip_ctx", "--short", "--labels", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "clip, ctx" in done.stdout
    written = json.loads((tmp_path / "out/fidelity.json").read_text(encoding="utf-8"))
    assert written["figures"]["fidelity.block7.clip_ctx.bytes_at_kl_040"] < 8_000
    assert written["figures"]["fidelity.photos"] == 5
    settings = [row for row in written["rows"] if row["table"] == "settings"]
    assert {row["method"] for row in settings} == {"jpeg", "clip_ctx"}
    assert all(0 <= row["accuracy"] <= 1 for row in settings)
    assert "data:image/svg+xml" in (tmp_path / "out/index.html").read_text(encoding="utf-8")
    assert (tmp_path / "rows.csv").read_text(encoding="utf-8").count("\n") == len(settings) + 1
    assert r"block7 & JPEG 4:4:4 & " in (tmp_path / "rows.tex").read_text(encoding="utf-8")


def test_an_unknown_method_is_one_line(tmp_path: Path) -> None:
    done = _run("--only", "gif", folder=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("benchmarks.fidelity: --only 'gif': no such method; there are: jpeg, webp")


def _run(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "benchmarks.fidelity", *arguments, "--out", str(folder / "out")]
    command += ["--csv", str(folder / "rows.csv"), "--latex", str(folder / "rows.tex")]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=110)
