"""The calibrated codec in the benchmarks: which photo takes which profile, what is promised, what is sent."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

import featcodec
from benchmarks import coder_share, depth, depth_fidelity, probing
from benchmarks.depth_fidelity import FixedFidelity, ImageFile
from benchmarks.fidelity import calibrated, shipped
from benchmarks.fidelity.curves import Interval, resamples
from benchmarks.fidelity.headline import cosine_at, headline
from benchmarks.fidelity.measure import Point, Store, measure
from benchmarks.fidelity.methods import Missing
from benchmarks.fidelity.network import Network, Subject
from benchmarks.fidelity.photos import find_photos, load_crops
from benchmarks.fidelity.published import RERUN, published_tables
from benchmarks.fidelity.results import Curve
from splitnet.bundle import Bundle

ProfileMaker = Callable[..., featcodec.TransformProfile]


@pytest.fixture(scope="module")
def profiles(lite0_bundle: Bundle, profile_for: ProfileMaker) -> list[featcodec.TransformProfile]:
    return [profile_for(lite0_bundle, "block7", note=name) for name in ("one", "two")]


@pytest.fixture(scope="module")
def subject(lite0_bundle: Bundle) -> Subject:
    network = Network(lite0_bundle)
    crops = load_crops(find_photos(None, 3), lite0_bundle.manifest.image_input)
    return network.features("block7", crops, network.pixels(crops).references)


def points(sizes: list[float], kl: list[float], cosine: list[float]) -> dict[str, Point]:
    ones = np.ones(2)
    rows = zip(sizes, kl, cosine, strict=True)
    return {str(i): Point(a * ones, b * ones, ones, c * ones, ones, ones, ones) for i, (a, b, c) in enumerate(rows)}


def curve(name: str, group: str, sizes: list[float]) -> Curve:
    return Curve(Missing(name, name, group, ""), points(sizes, [0.1, 0.04, 0.01], [0.9, 0.96, 0.99]))


def test_each_photo_is_coded_with_the_profile_of_its_fold(
    profiles: list[featcodec.TransformProfile], subject: Subject
) -> None:
    method = calibrated.methods(profiles)[0]
    assert isinstance(method, calibrated.Transform)
    for row, array in zip(subject.rows, subject.arrays, strict=True):
        frame = method.encode(array, "1", row)
        assert frame == featcodec.encode(array, "transform:step=1|rans", profile=profiles[row % 2])
    fine, coarse = (measure(method, step, subject, lambda: None) for step in ("0.75", "3"))
    assert fine.size.mean() > coarse.size.mean()
    assert fine.kl.mean() < coarse.kl.mean()


def test_measurements_depend_on_the_profiles(profiles: list[featcodec.TransformProfile]) -> None:
    sets = [calibrated.methods(some) for some in (profiles, profiles[:1], profiles[::-1])]
    assert len({one.identity for some in sets for one in some}) == 6


def test_few_photos_without_a_shipped_profile_are_a_row_that_says_why(
    lite0_bundle: Bundle, photos: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calibrated, "shipped", lambda bundle, cut: None)
    found = calibrated.methods_for(lite0_bundle, "block7", photos, tmp_path)
    assert [one.name for one in found] == list(calibrated.NAMES)
    assert all(isinstance(one, Missing) and "100 photos" in one.why for one in found)
    assert not list(tmp_path.iterdir())


def test_the_shipped_profile_serves_few_photos(
    lite0_bundle: Bundle,
    photos: tuple[Path, ...],
    profiles: list[featcodec.TransformProfile],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(calibrated, "shipped", lambda bundle, cut: profiles[0])
    (first, _) = calibrated.methods_for(lite0_bundle, "block7", photos, tmp_path)
    assert isinstance(first, calibrated.Transform)
    assert first.profiles == [profiles[0]]


def test_no_shipped_profile_no_figures(lite0_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calibrated, "shipped", lambda bundle, cut: None)
    assert shipped.shipped_figures(Network(lite0_bundle), "block7", Store(tmp_path)) == []


def test_headline_figures() -> None:
    ours = curve("transform", "ours", [1000, 2000, 4000])
    curves = [
        curve("avif", "image", [5000, 10_000, 20_000]),
        curve("jpeg", "image", [8000, 16_000, 32_000]),
        curve("x265", "video", [1500, 3000, 6000]),
        ours,
    ]
    found = {one.name: one.found.value for one in headline("codec.block7", curves, resamples(2, 20))}
    assert found["codec.block7.bytes_at_kl_040"] == pytest.approx(2000)
    assert found["codec.block7.ratio_to_best_image_codec"] == pytest.approx(5)
    assert found["codec.block7.ratio_to_best_feature_codec"] == pytest.approx(1.5)
    # At KL 0.045 the cosine is below 0.97, so that the cosine decides on these bytes.
    assert 0.9 < cosine_at(ours, 0.045, np.full(2, 0.5)) < 0.96
    assert found["codec.block7.cosine_at_kl_045"] < 0.96
    assert 2000 < found["codec.block7.bytes_at_kl_045_cosine_97"] < 4000
    assert found["codec.block7.bytes_at_kl_045"] < found["codec.block7.bytes_at_kl_045_cosine_97"]
    assert np.isnan(cosine_at(ours, 0.2, np.full(2, 0.5)))
    assert headline("codec.block7", curves[:-1], resamples(2, 20)) == []
    alone = [one.name for one in headline("codec.block7.shipped", [ours], resamples(2, 20))]
    assert not any("ratio" in name for name in alone)


def test_probing_is_compared_with_gradients_at_each_level() -> None:
    gradients, probed = (
        curve("transform", "ours", [scale * size for size in (1000, 2000, 4000)]) for scale in (1, 1.1)
    )
    found = probing.compared(gradients, probed, resamples(2, 20))
    assert found.figures["probing.block7.fisher.bytes_at_kl_040"] == pytest.approx(2000)
    assert found.figures["probing.block7.extra_at_kl_040"] == pytest.approx(0.1)
    assert [row["kl"] for row in found.rows] == [0.045, 0.04, 0.025, 0.011]
    assert all(row["extra"] == [pytest.approx(0.1, abs=1e-3)] * 3 for row in found.rows)


IMAGE = ImageFile("AVIF", Interval(11_000, 10_000, 12_000), 70.0)
ROW = FixedFidelity("late", "80x14x14", 0.4, 50, Interval(1700, 1500, 1900), 7.0, 2.0, 2.0)
EARLY = dataclasses.replace(ROW, cut="early", found=Interval(30_000, 28_000, 33_000))
BETWEEN = dataclasses.replace(ROW, cut="between", found=Interval(10_500, 9_000, 11_500))
VECTOR = FixedFidelity("pooled", "1280", 1.0, 50, note="a vector")


def test_where_the_photo_is_smaller_the_table_says_so(tmp_path: Path) -> None:
    rows = [EARLY, BETWEEN, ROW, VECTOR]
    assert [depth_fidelity.send(row, IMAGE) for row in rows[:3]] == ["photo", "either", "features"]
    printed = io.StringIO()
    Console(file=printed, width=116).print(depth_fidelity.table(rows, IMAGE, None))
    lines = {line.split()[0]: line for line in printed.getvalue().splitlines() if line.strip()}
    assert [lines[row.cut].split()[-1] for row in rows[:3]] == ["photo", "either", "features"]
    assert ROW.as_dict(IMAGE) | {"send": "features", "bytes": 1700, "image_bytes": 11_000} == ROW.as_dict(IMAGE)
    assert VECTOR.as_dict(IMAGE)["bytes"] is None
    lossless = [depth.Depth(row.cut, row.shape, row.work, 9e4, 6e4, "lzma", 2e4, 1.0, 9e3, 0.9) for row in rows]
    depth._plot(lossless, 18_839, 90_228, tmp_path / "depth.png", rows, IMAGE)
    with Image.open(tmp_path / "depth.png") as picture:
        assert picture.size == (1100, 616)


def test_cuts_that_no_profile_fits_are_told(lite0_bundle: Bundle) -> None:
    cuts = {cut.name: cut for cut in lite0_bundle.manifest.cuts}
    assert depth_fidelity._unfit(cuts["block7"]) == ""
    assert "1280 channels" in depth_fidelity._unfit(cuts["head"])
    assert "vector" in depth_fidelity._unfit(cuts["pooled"])


def test_published_figures_as_tables(tmp_path: Path) -> None:
    assert list(published_tables(tmp_path / "none.json")) == ["Rate and fidelity: nothing published yet", RERUN]
    sizes = {f"bytes_at_kl_{level}": [1000.0, 900.0, 1100.0] for level in ("045", "040", "025")}
    row = {"table": "methods", "cut": "block7", "label": "ours", "group": "ours", "bytes_at_kl_011": [None] * 3}
    path = tmp_path / "fidelity.json"
    path.write_text(json.dumps({"commit": "abc", "rows": [row | sizes, {"table": "settings"}]}), encoding="utf-8")
    first, last = published_tables(path)
    with (console := Console(width=120)).capture() as printed:
        console.print(first)
    assert printed.get().count("1,000") == 3
    assert last == RERUN


def test_the_coders_share_is_measured(
    lite0_bundle: Bundle, profiles: list[featcodec.TransformProfile], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coder_share, "demo_bundle", lambda directory: lite0_bundle)
    path = tmp_path / "profile.safetensors"
    path.write_bytes(profiles[0].to_bytes())
    measured = coder_share.measure(True, path)
    assert set(measured.figures) == {"codec.encode_share_of_edge_graph", "codec.decode_share_of_cloud_graph"}
    assert all(0 < value < 10 for value in measured.figures.values())
    (row,) = measured.rows
    assert row["codec"].startswith("transform:step=")
    assert row["runs"] == 60
