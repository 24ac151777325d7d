"""Transforms in bundles: what is written, what belongs together, and that a failure leaves the old bundle."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featcodec
from featcodec.profile_checks import NAMES
from splitnet.bundle import Bundle, add_transform, add_transforms
from splitnet.bundle import imported as imported_module
from splitnet.bundle import source as source_module
from splitnet.bundle.build import build_bundle
from splitnet.bundle.profiles import load_profile
from splitnet.bundle.transform import Calibration
from splitnet.errors import BundleError, ModelError, OutputError, UsageError, VerificationError
from splitnet.graph import transform as transform_module
from splitnet.models.shipped import ShippedProfile, shipped_profiles
from splitnet.runtime.bundled import load_graph
from splitnet.runtime.onnxruntime_engine import OnnxGraph

ProfileMaker = Callable[..., featcodec.TransformProfile]
CURVE = {"rows": [{"step": 1.0, "bytes": 320.5, "kl": 0.01}, {"step": 2.0, "bytes": 160.25, "kl": 0.04}]}


@pytest.fixture
def bundle(tiny_network: Path, tmp_path: Path) -> Bundle:
    return build_bundle(tiny_network, tmp_path / "bundle", cuts=["r1", "r2", "pool", "flat"])


def files(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}


def test_what_is_written(bundle: Bundle, profile_for: ProfileMaker) -> None:
    profile = profile_for(bundle, "r2")
    after = add_transform(bundle, "r2", profile.to_bytes(), curve=CURVE, step=1.5)
    assert files(after.path) - files(bundle.path) == set()
    assert {
        "profiles/r2.safetensors",
        "profiles/r2.curve.json",
        "cuts/r2.transform.edge.onnx",
        "cuts/r2.transform.cloud.onnx",
        "cuts/r2.edge.onnx",
        "cuts/r2.cloud.onnx",
    } < files(after.path)
    after.verify()
    transform = after.cut("r2").transform
    assert transform is not None
    assert transform.step == 1.5
    assert json.loads(after.open_bytes("profiles/r2.curve.json")) == CURVE
    assert after.fingerprint != bundle.fingerprint
    assert [cut.name for cut in after.manifest.calibrated_cuts] == ["r2"]
    assert load_profile(after, after.cut("r2")) == profile
    assert {path.name for path in after.path.parent.iterdir()} == {"bundle", "tiny.onnx"}
    edge = load_graph(after, transform.edge)
    assert [spec.name for spec in edge.inputs] == ["image", "step"]
    assert [(spec.name, spec.dtype, spec.shape) for spec in edge.outputs] == [
        ("symbols", "int16", (None, 1, 64, 8)),
        ("finite", "bool", (None,)),
    ]
    with pytest.raises(UsageError, match="cut r1 has no calibrated profile; r2 has one; make one with `splitnet cal"):
        load_profile(after, after.cut("r1"))


def test_the_same_profile_gives_the_same_fingerprint(bundle: Bundle, profile_for: ProfileMaker, tmp_path: Path) -> None:
    data = profile_for(bundle, "r2").to_bytes()
    first, second = (add_transform(bundle, "r2", data, out=tmp_path / name) for name in ("one", "two"))
    assert first.fingerprint == second.fingerprint
    assert add_transform(bundle, "r2", data, step=2.0).fingerprint != first.fingerprint
    assert Bundle.load(tmp_path / "one").fingerprint == first.fingerprint


def test_several_cuts_of_every_kind_at_once(bundle: Bundle, profile_for: ProfileMaker) -> None:
    blocks = {"r1": (8, 4), "r2": None, "pool": None, "flat": None}
    given = [Calibration(cut, profile_for(bundle, cut, size).to_bytes()) for cut, size in blocks.items()]
    after = add_transforms(bundle, given)
    assert [cut.name for cut in after.manifest.calibrated_cuts] == list(blocks)
    image = np.random.default_rng(0).random((2, 3, 16, 16)).astype(np.float32)
    for cut in after.manifest.calibrated_cuts:
        assert cut.transform is not None
        assert cut.edge is not None
        assert cut.cloud is not None
        symbols, finite = load_graph(after, cut.transform.edge).run({"image": image, "step": np.array(0.02, "f4")})
        assert finite.all()
        (features,) = load_graph(after, cut.edge).run({"image": image})
        profile = load_profile(after, cut)
        for mine, one in zip(symbols, features, strict=True):
            frame = featcodec.encode_symbols(mine, "transform:step=0.02|raw", profile=profile, shape=(1, *cut.shape))
            decoded = featcodec.decode(frame, profiles={profile.fingerprint: profile})
            assert np.abs(decoded[0] - one).max() < 0.05
        (found,) = load_graph(after, cut.transform.cloud).run({"coefficients": symbols * np.float32(0.02)})
        (expected,) = load_graph(after, cut.cloud).run({cut.tensor: features})
        np.testing.assert_allclose(found, expected, atol=0.2)


def test_a_transform_is_replaced_and_others_stay(bundle: Bundle, profile_for: ProfileMaker) -> None:
    both = [Calibration(cut, profile_for(bundle, cut).to_bytes(), CURVE) for cut in ("r1", "r2")]
    before = add_transforms(bundle, both)
    other = profile_for(bundle, "r2", (4, 4)).to_bytes()
    after = add_transform(before, "r2", other)
    assert after.open_bytes("profiles/r2.safetensors") == other
    assert after.cut("r1") == before.cut("r1")
    assert "profiles/r2.curve.json" not in files(after.path)
    assert "profiles/r1.curve.json" in files(after.path)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"network": "resnet"}, "profile for cut r2 is for network 'resnet', not 'tiny'"),
        ({"network_version": "9"}, "is for version of the network '9', not '"),
        ({"cut": "r1"}, "is for cut 'r1', not 'r2'"),
        ({"network": ""}, "names no network"),
    ],
)
def test_profiles_of_something_else(
    bundle: Bundle, profile_for: ProfileMaker, metadata: dict[str, str], message: str
) -> None:
    data = profile_for(bundle, "r2", **metadata).to_bytes()
    with pytest.raises(UsageError, match=message):
        add_transform(bundle, "r2", data)
    assert Bundle.load(bundle.path).fingerprint == bundle.fingerprint


def test_what_cannot_be_used(bundle: Bundle, profile_for: ProfileMaker) -> None:
    data = profile_for(bundle, "r2").to_bytes()
    shaped = profile_for(bundle, "r1", cut="r2")
    for arguments, message in (
        (("r2", data[:-1]), "profile for cut r2 cannot be used: "),
        (("r2", shaped.to_bytes()), r"is for features \(4, 16, 16\), not \(8, 8, 8\)"),
        (("r9", data), "no cut 'r9'"),
        (("c1", data), "'c1' is possible but not in this bundle"),
    ):
        with pytest.raises(UsageError, match=message):
            add_transform(bundle, *arguments)
    for step in (0.0, -1.0, float("nan"), 1e9):
        with pytest.raises(UsageError, match=r"the step .* for cut r2 cannot be used"):
            add_transform(bundle, "r2", data, step=step)
    for curve in (b"{", b"[]", b'{"rows": 1}', {"rows": [{1, 2}]}):
        with pytest.raises(UsageError, match="the curve for cut r2 is not"):
            add_transform(bundle, "r2", data, curve=curve)
    with pytest.raises(UsageError, match="cut r2 is given more than one profile"):
        add_transforms(bundle, [Calibration("r2", data), Calibration("r2", data)])
    assert Bundle.load(bundle.path).fingerprint == bundle.fingerprint


def test_the_default_step_is_the_profiles(bundle: Bundle, profile_for: ProfileMaker) -> None:
    for metadata, expected in (({}, 1.75), ({"step": "1.25"}, 1.25)):
        after = add_transform(bundle, "r2", profile_for(bundle, "r2", **metadata).to_bytes())
        transform = after.cut("r2").transform
        assert transform is not None
        assert transform.step == expected


@pytest.mark.parametrize("after", range(0, 15, 3))
def test_a_full_disk_leaves_the_old_bundle(
    bundle: Bundle, profile_for: ProfileMaker, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    written = 0

    def fsync(descriptor: int) -> None:
        nonlocal written
        written += 1
        if written > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OutputError, match="No space left on device"):
        add_transform(bundle, "r2", profile_for(bundle, "r2").to_bytes())
    left = Bundle.load(bundle.path)
    left.verify()
    assert left.fingerprint == bundle.fingerprint
    assert {path.name for path in bundle.path.parent.iterdir()} == {"bundle", "tiny.onnx"}


@pytest.mark.parametrize("half", ["with_analysis", "with_synthesis"])
def test_graphs_that_compute_something_else_are_not_written(
    bundle: Bundle, profile_for: ProfileMaker, monkeypatch: pytest.MonkeyPatch, half: str
) -> None:
    real = getattr(transform_module, half)
    mine = profile_for(bundle, "r2")
    arrays = {name: getattr(mine, name) for name in NAMES} | {"frequencies": np.r_[0, 63:0:-1]}
    other = featcodec.make_profile(**arrays, metadata=mine.metadata)
    monkeypatch.setattr(transform_module, half, lambda model, profile: real(model, other))
    with pytest.raises(VerificationError, match=r"cut r2: the transform's (edge|cloud) graph does not compute"):
        add_transform(bundle, "r2", mine.to_bytes())
    assert Bundle.load(bundle.path).fingerprint == bundle.fingerprint


def test_an_altered_bundle_is_not_copied(bundle: Bundle, profile_for: ProfileMaker) -> None:
    path = bundle.path / "whole.onnx"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(BundleError, match=r"whole\.onnx was altered"):
        add_transform(bundle, "r2", profile_for(bundle, "r2").to_bytes())


def test_an_old_network_is_one_clear_error(bundle: Bundle, profile_for: ProfileMaker, tmp_path: Path) -> None:
    import onnx

    model = onnx.load(tmp_path / "tiny.onnx")
    model.opset_import[0].version = 12
    (tmp_path / "old.onnx").write_bytes(model.SerializeToString())
    old = build_bundle(tmp_path / "old.onnx", tmp_path / "old", cuts=["r2"])
    with pytest.raises(ModelError, match="opset 12; a transform needs 13"):
        add_transform(old, "r2", profile_for(old, "r2").to_bytes())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda cut: cut["transform"].update(step=0), "step: Input should be greater than 0"),
        (lambda cut: cut["transform"].update(step=float("inf")), "finite number"),
        (lambda cut: cut["transform"].update(more=1), "more: Extra inputs are not permitted"),
        (lambda cut: cut["transform"].pop("cloud"), "cloud: Field required"),
        (lambda cut: cut["transform"].update(edge="../x"), "is not a plain relative path"),
        (lambda cut: cut["transform"].update(edge="cuts/x.onnx"), "'cuts/x.onnx' is used but not listed"),
        (lambda cut: cut.update(edge=None, cloud=None), "a cut with a transform needs its plain graphs too"),
    ],
)
def test_manifests_that_contradict_themselves(
    bundle: Bundle, profile_for: ProfileMaker, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    path = add_transform(bundle, "r2", profile_for(bundle, "r2").to_bytes()).path
    content = json.loads((path / "bundle.json").read_text())
    change(next(cut for cut in content["cuts"] if cut["name"] == "r2"))
    (path / "bundle.json").write_text(json.dumps(content))
    with pytest.raises(BundleError, match=f"is damaged: .*{message}"):
        Bundle.load(path)


def test_a_profile_that_was_swapped_in_a_valid_bundle(bundle: Bundle, profile_for: ProfileMaker) -> None:
    after = add_transform(bundle, "r2", profile_for(bundle, "r2").to_bytes())
    other = profile_for(bundle, "r1").to_bytes()
    manifest = after.manifest.model_dump(mode="json")
    import hashlib

    for file in manifest["files"]:
        if file["path"] == "profiles/r2.safetensors":
            file.update(size=len(other), sha256=hashlib.sha256(other).hexdigest())
    (after.path / "profiles" / "r2.safetensors").write_bytes(other)
    (after.path / "bundle.json").write_text(json.dumps(manifest))
    swapped = Bundle.load(after.path)
    with pytest.raises(BundleError, match=r"r2\.safetensors cannot be used: .* is for cut 'r1', not 'r2'"):
        load_profile(swapped, swapped.cut("r2"))


def test_bundles_without_transforms_keep_their_fingerprint(bundle: Bundle) -> None:
    assert b"transform" not in (bundle.path / "bundle.json").read_bytes()


def test_profiles_of_the_zoo_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    for name in ("block7.safetensors", "block7.curve.json", "block4.safetensors", "notes.txt"):
        (folder / name).write_bytes(name.encode())
    assert shipped_profiles("net", tmp_path) == {
        "block4": ShippedProfile(b"block4.safetensors", None),
        "block7": ShippedProfile(b"block7.safetensors", b"block7.curve.json"),
    }
    assert shipped_profiles("other", tmp_path) == {}


def test_building_adds_the_profiles_that_a_network_comes_with(
    bundle: Bundle, profile_for: ProfileMaker, tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shipped = {
        cut: ShippedProfile(profile_for(bundle, cut).to_bytes(), json.dumps(CURVE).encode()) for cut in ("r1", "r2")
    }
    real = imported_module.from_networks

    def with_profiles(*arguments: Any) -> source_module.Source:
        from dataclasses import replace

        return replace(real(*arguments), profiles=shipped)

    monkeypatch.setattr("splitnet.bundle.build.from_networks", with_profiles)
    steps: list[tuple[str, int, int]] = []
    built = build_bundle(tiny_network, tmp_path / "new", cuts=["r2", "flat"], progress=lambda *step: steps.append(step))
    assert [cut.name for cut in built.manifest.calibrated_cuts] == ["r2"]
    assert [done for _, done, _ in steps] == list(range(len(steps)))
    assert steps[-1] == ("done", 7, 7)
    built.verify()
    shutil.rmtree(tmp_path / "new")


def test_verification_allows_nothing_worse_than_rounding(bundle: Bundle, profile_for: ProfileMaker) -> None:
    after = add_transform(bundle, "r1", profile_for(bundle, "r1", (4, 8)).to_bytes())
    transform = after.cut("r1").transform
    assert transform is not None
    image = np.random.default_rng(1).random((3, 3, 16, 16)).astype(np.float32)
    (features,) = OnnxGraph(after.path / "cuts" / "r1.edge.onnx").run({"image": image})
    symbols, _ = load_graph(after, transform.edge).run({"image": image, "step": np.array(0.05, "f4")})
    profile = load_profile(after, after.cut("r1"))
    for mine, one in zip(symbols, features, strict=True):
        frame = featcodec.encode(one[np.newaxis], "transform:step=0.05|raw", profile=profile)
        theirs = featcodec.decode_coefficients(frame, profiles={profile.fingerprint: profile}) / np.float32(0.05)
        difference = np.abs(mine - np.rint(theirs))
        assert difference.max() <= 1
        assert np.mean(difference > 0) < 1e-4
