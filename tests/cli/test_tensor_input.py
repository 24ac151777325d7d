"""The commands with a network that takes no images: build, inspect, edge run, calibrate, profile, plan."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from splitnet.bundle import Bundle
from splitnet.errors import SampleError, UsageError
from tests.cli.calls import call, output, refused


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten arrays of 64 values, one of them in a folder below."""
    folder = tmp_path_factory.mktemp("arrays")
    (folder / "more").mkdir()
    generator = np.random.default_rng(7)
    for number in range(9):
        np.save(folder / f"{number}.npy", generator.standard_normal(64, np.float32))
    np.save(folder / "more" / "9.npy", generator.standard_normal((1, 64), np.float32))
    return folder


@pytest.fixture(scope="module")
def bundle(vector_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("vector") / "bundle"
    task = ("--task", "words=classification:scores")
    output("build", vector_file, "--cuts", "input,a1,a2", "--out", place, "--shape", "64", *task)
    return place


def test_inspect_shows_the_shape(bundle: Path) -> None:
    assert "input x: float32 64, values as they are" in output("inspect", bundle)
    assert json.loads(output("inspect", bundle, "--json"))["input"] == {"kind": "tensor", "tensor": "x", "shape": [64]}


@pytest.mark.parametrize("text", ["", "1xx", "x64", "0x4", "-1", "1.5", "64,1", "9" * 11, "1 64"])
def test_shapes_that_are_none(vector_file: Path, tmp_path: Path, text: str) -> None:
    message = refused(UsageError, "build", vector_file, "--cuts", "all", "--out", tmp_path / "b", f"--shape={text}")
    assert "is no shape: give its sides without the batch, for example 1x40x101" in message


def test_shape_and_image_options_exclude_each_other(vector_file: Path, tmp_path: Path) -> None:
    message = refused(
        UsageError, "build", vector_file, "--cuts", "all", "--out", tmp_path / "b", "--shape", 64, "--layout", "nhwc"
    )
    assert message == "--shape is of an input that is no image, --layout of one that is: leave one out"


def test_edge_run_takes_files_and_folders(bundle: Path, data: Path) -> None:
    lines = [
        json.loads(line)
        for line in output("run", "--server", "local", "--bundle", bundle, "--source", data, "--json").splitlines()
    ]
    assert len(lines) == 10
    assert all(line["results"]["words"]["top"] for line in lines)
    line = output(
        "run", "--server", "local", "--bundle", bundle, "--source", data / "0.npy", "--cut", "input", "--json"
    )
    assert json.loads(line)["frame_bytes"] < 200


def test_edge_run_reports_a_wrong_file_and_refuses_a_wrong_folder(bundle: Path, data: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "wrong.npy", np.zeros((1, 63), np.float32))
    sources = ("--source", data / "1.npy", "--source", tmp_path / "wrong.npy")
    result = call("run", "--server", "local", "--bundle", bundle, *sources, "--json")
    assert result.exit_code == 1
    (error,) = [line["error"] for line in map(json.loads, result.stdout.splitlines()) if "error" in line]
    assert error["type"] == "SampleError"
    assert "holds float32 (1, 63): give float32 (64,) or (1, 64)" in error["message"]
    (tmp_path / "empty").mkdir()
    message = refused(UsageError, "run", "--server", "local", "--bundle", bundle, "--source", tmp_path / "empty")
    assert "holds no .npy files" in message


def test_calibrate_profile_and_plan(bundle: Path, data: Path, tmp_path: Path) -> None:
    made = tmp_path / "calibrated"
    shown = output("calibrate", bundle, "--data", data, "--cuts", "a1", "--folds", 2, "--steps", "0.5,1", "--out", made)
    assert "a1: 10 photos, 2 folds, probing" in shown
    assert Bundle.load(made).cut("a1").transform is not None
    found = tmp_path / "profile.json"
    shown = output("profile", made, "--out", found, "--photos", data, "--repeats", 3, "--cuts", "a1")
    assert "1 cuts with 3 codecs, 0 image formats; 10 .npy files" in shown
    content = json.loads(found.read_text())
    assert (content["edge"]["images"], content["cloud"]["images"]) == ([], [])
    table = output("plan", made, "--edge-profile", found, "--bandwidth", 1, "--rtt", 10)
    assert "all on the edge" in table
    assert "transform" in table
    output("profile", made, "--out", found, "--repeats", 3, "--cuts", "a1", "--half", "edge")


def test_folders_with_too_little(bundle: Path, data: Path, tmp_path: Path) -> None:
    message = refused(UsageError, "calibrate", bundle, "--data", data, "--folds", 5)
    assert "holds 10 .npy files; calibration needs at least 20" in message
    assert "holds no .npy files" in refused(
        UsageError, "profile", bundle, "--out", tmp_path / "p.json", "--photos", tmp_path
    )
    np.save(tmp_path / "bad.npy", np.zeros(64))
    assert "bad.npy holds float64 (64,)" in refused(
        SampleError, "profile", bundle, "--out", tmp_path / "p.json", "--photos", tmp_path
    )


def test_an_edge_precision(vector_file: Path, data: Path, tmp_path: Path) -> None:
    common = ("build", vector_file, "--cuts", "a1", "--out", tmp_path / "b", "--edge-precision", "float16")
    output(*common, "--data", data)
    assert Bundle.load(tmp_path / "b").cut("a1").precision == "float16"
    (tmp_path / "empty").mkdir()
    assert "holds no photos" in refused(UsageError, *common, "--data", tmp_path / "empty")
