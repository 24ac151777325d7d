"""The commands with a bundle for any size: build, inspect, edge run, calibrate, profile."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from splitnet.bundle import Bundle
from splitnet.cli.sizes import parse_size
from splitnet.errors import UsageError
from tests.cli.calls import output, refused


def test_build_and_inspect(pyramid_file: Path, tmp_path: Path) -> None:
    output("build", pyramid_file, "--size", "32x48", "--any-size", 8, "--cuts", "all", "--out", tmp_path / "b")
    shown = output("inspect", tmp_path / "b", "--all")
    assert "centre 32x48, any size in steps of 8, mean 0, std 255" in shown
    assert "4x8*x12* + 4x16*x24*" in shown
    content = json.loads(output("inspect", tmp_path / "b", "--json"))
    assert content["input"]["multiple"] == 8
    cut = next(cut for cut in content["cuts"] if cut["name"] == "deep-and-1")
    assert (cut["free"], cut["more"][0]["free"]) == ([1, 2], [1, 2])


def test_a_bundle_of_one_size_shows_none_of_it(tiny_file: Path, tmp_path: Path) -> None:
    output("build", tiny_file, "--cuts", "r1", "--out", tmp_path / "b")
    assert "any size" not in output("inspect", tmp_path / "b")
    content = json.loads(output("inspect", tmp_path / "b", "--json"))
    assert "multiple" not in content["input"]
    assert "free" not in content["cuts"][0]
    assert "fixes the image's height to 16" in refused(
        UsageError, *("build", tiny_file, "--size", "16x16", "--any-size", 8, "--out", tmp_path / "c")
    )


def test_edge_run(pyramid_bundle: Bundle, photos: tuple[Path, ...]) -> None:
    common = ("run", "--server", "local", "--bundle", pyramid_bundle.path, "--source", photos[0], "--cut", "r1")
    lines = [json.loads(output(*common, "--json", *more)) for more in ((), ("--size", "64x96"), ("--size", "8x16"))]
    assert lines[2]["frame_bytes"] < lines[0]["frame_bytes"] < lines[1]["frame_bytes"]
    assert "size 30x48: its sides are no multiples of 8" in refused(UsageError, *common, "--size", "30x48")
    assert "it has more than 4 times the pixels" in refused(UsageError, *common, "--size", "320x320")


@pytest.mark.parametrize(
    "text", ["", "32", "32x", "x32", "0x32", "32x8193", "32x32x32", "-8x8", "٣x8", "9" * 5000 + "x8"]
)
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(UsageError, match="is not HEIGHTxWIDTH in pixels up to 8192") as caught:
        parse_size(text)
    assert len(str(caught.value)) < 200


def test_a_size() -> None:
    assert parse_size("416X320") == (416, 320)


def test_calibrate_and_profile_are_of_the_nominal_size(
    pyramid_bundle: Bundle, photos: tuple[Path, ...], tmp_path: Path
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for photo in photos[:8]:
        shutil.copy(photo, folder)
    made = tmp_path / "calibrated"
    output(
        *("calibrate", pyramid_bundle.path, "--data", folder, "--cuts", "r1", "--folds", 2, "--steps", "0.5,1"),
        *("--out", made),
    )
    assert Bundle.load(made).cut("r1").free == (1, 2)
    common = ("run", "--server", "local", "--bundle", made, "--source", photos[0], "--cut", "r1")
    output(*common)
    output(*common, "--size", "64x96")
    other = (*common, "--size", "64x96", "--codec", "transform:step=1|rans")
    assert "is calibrated for 32x48" in refused(UsageError, *other)
    output("profile", made, "--out", tmp_path / "p.json", "--photos", folder, "--repeats", 3, "--cuts", "r1,input")
