"""Bundles that are broken in every way that can happen are one clear error each."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from splitnet.bundle import Bundle
from splitnet.bundle.build import build_bundle
from splitnet.errors import BundleError, UsageError


@pytest.fixture
def directory(tiny_network: Path, tmp_path: Path) -> Path:
    return build_bundle(tiny_network, tmp_path / "bundle", cuts=["r1", "r2"]).path


def edit(directory: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = directory / "bundle.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_what_a_bundle_offers(directory: Path) -> None:
    bundle = Bundle.load(directory)
    assert [cut.name for cut in bundle.manifest.built_cuts] == ["r1", "r2"]
    assert [cut.name for cut in bundle.manifest.cuts] == ["c1", "r1", "c2", "r2", "pool", "flat"]
    assert bundle.cut("r2").shape == (8, 8, 8)
    assert bundle.task("scores").input == "flat"
    assert bundle.labels("scores") == ()
    assert bundle.open_bytes("cuts/r1.edge.onnx") == (directory / "cuts" / "r1.edge.onnx").read_bytes()
    bundle.verify()


def test_unknown_names_list_what_exists(directory: Path) -> None:
    bundle = Bundle.load(directory)
    with pytest.raises(UsageError, match="no cut 'r9'; it has: r1, r2"):
        bundle.cut("r9")
    with pytest.raises(UsageError, match="'c2' is possible but not in this bundle, which has: r1, r2"):
        bundle.cut("c2")
    with pytest.raises(UsageError, match="no task 'x'; it has: scores, vector"):
        bundle.task("x")
    with pytest.raises(UsageError, match=r"does not list a file 'bundle.json'"):
        bundle.open_bytes("bundle.json")


def test_places_without_a_bundle(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="does not exist: make a bundle"):
        Bundle.load(tmp_path / "absent")
    with pytest.raises(BundleError, match=r"not a bundle: it has no bundle\.json"):
        Bundle.load(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(BundleError, match="is not a directory"):
        Bundle.load(tmp_path / "file")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not valid JSON"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe\xfd", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[]", "holds a JSON list"),
        (b"{}", "has format None; this splitnet reads format 1"),
        (b'{"format": 2}', "has format 2; this splitnet reads format 1"),
        (b'{"format": 1}', "is damaged: name: Field required"),
        (b" " * ((4 << 20) + 1), "larger than 4194304 bytes"),
    ],
    ids=range(9),
)
def test_manifests_that_are_none(directory: Path, content: bytes, message: str) -> None:
    (directory / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError, match=message):
        Bundle.load(directory)


def test_a_manifest_cut_short(directory: Path) -> None:
    data = (directory / "bundle.json").read_bytes()
    for length in range(0, len(data), 61):
        (directory / "bundle.json").write_bytes(data[:length])
        with pytest.raises(BundleError):
            Bundle.load(directory)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(extra=1), "extra: Extra inputs are not permitted"),
        (lambda m: m.update(cuts=[]), "cuts: Tuple should have at least 1 item"),
        (lambda m: m["cuts"].append(m["cuts"][0]), "cut 'c1' is listed more than once"),
        (lambda m: m["cuts"][1].update(cloud=None), "needs both its edge and its cloud graph"),
        (lambda m: m["files"].pop(), "is used but not listed under files"),
        (lambda m: m["files"][0].update(path="../../etc/passwd"), "is not a plain relative path"),
        (lambda m: m["files"][0].update(path="/etc/passwd"), "is not a plain relative path"),
        (lambda m: m["files"][0].update(size=-1), "greater than or equal to 0"),
        (lambda m: m["files"][0].update(sha256="0"), "should match pattern"),
        (lambda m: m["input"].update(std=[0, 1, 1]), "greater than 0"),
        (lambda m: m["input"].update(mean=[float("nan"), 0, 0]), "finite number"),
        (lambda m: m["input"].update(resize_short=15), "smaller than the crop 16x16"),
        (lambda m: m["input"].update(height=10**9), "less than or equal to 8192"),
    ],
)
def test_manifests_that_contradict_themselves(
    directory: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    edit(directory, change)
    with pytest.raises(BundleError, match=f"is damaged: .*{message}"):
        Bundle.load(directory)


def test_a_manifest_that_is_a_link(directory: Path) -> None:
    (directory / "bundle.json").rename(directory / "other.json")
    (directory / "bundle.json").symlink_to("other.json")
    with pytest.raises(BundleError, match="is not a plain file"):
        Bundle.load(directory)


def test_a_missing_file(directory: Path) -> None:
    (directory / "cuts" / "r1.edge.onnx").unlink()
    with pytest.raises(BundleError, match=r"r1\.edge\.onnx is missing"):
        Bundle.load(directory)


def test_a_file_of_another_size(directory: Path) -> None:
    with (directory / "whole.onnx").open("ab") as stream:
        stream.write(b"x")
    with pytest.raises(BundleError, match=r"whole\.onnx has \d+ bytes, the manifest says \d+"):
        Bundle.load(directory)


def test_files_that_are_no_plain_files(directory: Path) -> None:
    file = directory / "whole.onnx"
    file.rename(directory / "real.onnx")
    file.symlink_to("real.onnx")
    with pytest.raises(BundleError, match="is a link"):
        Bundle.load(directory)
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(BundleError, match="is not a plain file"):
        Bundle.load(directory)
    file.unlink()
    file.mkdir()
    with pytest.raises(BundleError, match="is not a plain file"):
        Bundle.load(directory)


def test_a_directory_inside_that_is_a_link(directory: Path) -> None:
    (directory / "cuts").rename(directory.parent / "elsewhere")
    (directory / "cuts").symlink_to(directory.parent / "elsewhere")
    with pytest.raises(BundleError, match="cuts is a link"):
        Bundle.load(directory)


def test_the_bundle_itself_may_be_reached_through_a_link(directory: Path) -> None:
    link = directory.parent / "current"
    link.symlink_to(directory)
    Bundle.load(link).verify()


def test_an_altered_file_is_found_when_it_is_opened(directory: Path) -> None:
    file = directory / "whole.onnx"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    bundle = Bundle.load(directory)
    bundle.open_bytes("cuts/r1.edge.onnx")
    for use in (bundle.verify, lambda: bundle.open_bytes("whole.onnx")):
        with pytest.raises(BundleError, match=r"whole\.onnx was altered"):
            use()


def test_a_file_that_vanishes_after_loading(directory: Path) -> None:
    bundle = Bundle.load(directory)
    shutil.rmtree(directory)
    with pytest.raises(BundleError, match="is missing"):
        bundle.open_bytes("whole.onnx")


def test_a_reformatted_manifest_keeps_its_fingerprint(directory: Path) -> None:
    before = Bundle.load(directory).fingerprint
    edit(directory, lambda content: None)
    assert Bundle.load(directory).fingerprint == before
    edit(directory, lambda content: content.update(version="other"))
    assert Bundle.load(directory).fingerprint != before
