"""`splitnet profile`, `plan` and what `inspect` says of cuts, on a tiny network with one calibrated cut."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from typer.testing import CliRunner, Result

import featcodec
from splitnet.bundle import Bundle, add_transform
from splitnet.bundle.build import build_bundle
from splitnet.bundle.source import ImportOptions, SourceTask
from splitnet.cli.inspect import inspect
from splitnet.cli.plan import plan
from splitnet.cli.profile import profile
from splitnet.errors import BundleError, OutputError, UsageError

CURVE = {
    "photos": 50,
    "rows": [
        {"step": 1.0, "bytes": 700.5, "words.kl": 0.01, "words.agreement": 0.99},
        {"step": 2.0, "bytes": 400.5, "words.kl": 0.04, "words.agreement": 0.95},
    ],
}
LINK = ("--bandwidth", "1", "--rtt", "20")
app = typer.Typer()
app.command()(profile)
app.command()(plan)
app.command()(inspect)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(kind: type[Exception], *arguments: object) -> str:
    result = run(*arguments)
    assert isinstance(result.exception, kind), (result.exception, result.output)
    return str(result.exception)


@pytest.fixture(scope="module")
def bundle(
    tiny_file: Path, tmp_path_factory: pytest.TempPathFactory, profile_for: Callable[..., featcodec.TransformProfile]
) -> Bundle:
    """Cuts r1 (calibrated) and r2; a classification and an embedding."""
    options = ImportOptions(
        tasks=(SourceTask("words", "classification", "scores"), SourceTask("vector", "embedding", "vector"))
    )
    place = tmp_path_factory.mktemp("plan") / "bundle"
    plain = build_bundle(tiny_file, place, cuts=["r1", "r2"], options=options)
    return add_transform(plain, "r1", profile_for(plain, "r1", (8, 4)).to_bytes(), curve=CURVE, step=2.0)


@pytest.fixture(scope="module")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    generator = np.random.default_rng(5)
    for number in range(3):
        Image.fromarray(generator.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def measured(bundle: Bundle, photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A profile of both halves with photos, the device emulated ten times slower."""
    path = tmp_path_factory.mktemp("profile") / "both.json"
    done = run("profile", bundle.path, "--out", path, "--photos", photo_folder, "--repeats", 3, "--slowdown", 10)
    assert done.exit_code == 0, done.output
    assert "a device emulated 10 times slower" in done.stdout
    assert "random" not in done.stdout
    return path


def test_a_profile_of_both_halves(measured: Path, bundle: Bundle) -> None:
    found = json.loads(measured.read_text())
    assert found["fingerprint"] == bundle.fingerprint
    assert found["edge"]["slowdown"] == 10
    assert found["edge"]["photos"] == {"count": 3, "kind": "photos"}
    # No names of hosts, people or folders.
    assert set(found["edge"]["machine"]) == {"processor", "cores", "system", "python", "packages"}
    assert str(measured.parent) not in measured.read_text()
    calibrated, plain = found["edge"]["cuts"]
    codecs = ["transform:step=1|rans", "transform:step=2|rans", "affine:bits=8|zstd:level=3"]
    assert [one["codec"] for one in calibrated["codecs"]] == codecs
    assert plain["transform"] is None
    assert [one["codec"] for one in plain["codecs"]][1:] == [f"clip:levels={levels}|rans" for levels in (16, 8, 4)]
    fine, coarse = (one["bytes"] for one in calibrated["codecs"][:2])
    assert fine > coarse > 0
    assert found["edge"]["whole"]["tasks"] == ["words", "vector"]
    for half in ("edge", "cloud"):
        assert all(
            cut["plain"]["many"]["p95_ms"] >= cut["plain"]["many"]["median_ms"] > 0 for cut in found[half]["cuts"]
        )


def test_fidelity_is_the_curves_or_measured(measured: Path) -> None:
    cloud = json.loads(measured.read_text())["cloud"]
    calibrated, plain = cloud["cuts"]
    fidelity = [one["fidelity"] for one in calibrated["codecs"]]
    curve = {"agreement": 0.95, "kl": 0.04, "bytes": 400.5, "photos": 50, "source": "curve"}
    assert fidelity[1] == curve
    assert (fidelity[2]["source"], fidelity[2]["photos"], fidelity[2]["bytes"]) == ("measured", 3, None)
    # 8 bits lose less than 4 levels.
    assert 0 <= plain["codecs"][0]["fidelity"]["kl"] < plain["codecs"][3]["fidelity"]["kl"]
    assert {one["codec"]: one["fidelity"]["kl"] for one in cloud["images"]}["png"] == 0
    assert cloud["answers"]["vector"] > 4 * 8


def test_random_pictures_and_the_edge_half_alone(bundle: Bundle, tmp_path: Path) -> None:
    device = tmp_path / "device"
    for file in bundle.manifest.edge_files:
        target = device / file.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(bundle.path / file.path, target)
    shutil.copy(bundle.path / "bundle.json", device)
    edge, cloud = tmp_path / "edge.json", tmp_path / "cloud.json"
    done = run("profile", device, "--half", "edge", "--out", edge, "--repeats", 3, "--cuts", "r1", "--steps", "2,4")
    assert done.exit_code == 0, done.output
    assert "random pictures: sizes" in done.stdout
    assert "the whole network is not here" in done.stdout
    assert json.loads(edge.read_text())["cloud"] is None
    done = run("profile", bundle.path, "--half", "cloud", "--out", cloud, "--repeats", 3)
    assert done.exit_code == 0, done.output
    halves = ("--edge-profile", edge, "--cloud-profile", cloud)
    made = json.loads(run("plan", device, *halves, *LINK, "--json").stdout)
    # What both measured: r1 at step 2 with the curve's bytes, and with 8 bits; no fidelity comes from noise.
    splits = {one["codec"]: one for one in made["table"] if one["mode"] == "split"}
    assert set(splits) == {"transform:step=2|rans", "affine:bits=8|zstd:level=3"}
    assert splits["transform:step=2|rans"]["size"] == 400.5
    assert splits["affine:bits=8|zstd:level=3"]["kl"] is None
    assert {one["mode"] for one in made["table"]} == {"split", "cloud"}
    assert "holds no cloud half" in refused(UsageError, "plan", device, "--edge-profile", edge, *LINK)
    assert "r1.cloud.onnx is missing" in refused(BundleError, "profile", device, "--out", tmp_path / "x.json")


def test_a_plan_as_a_table(measured: Path, bundle: Bundle) -> None:
    done = run("plan", bundle.path, "--edge-profile", measured, *LINK, "--max-kl", "0.02", "--modes", "split")
    assert done.exit_code == 0, done.output
    assert "1 Mbit/s up, round trip 20 ms, KL ≤ 0.02, device emulated 10x slower" in done.stdout
    chosen = [line for line in done.stdout.splitlines() if line.startswith("→")]
    assert len(chosen) == 1
    assert re.search(r"transform:step=2\|rans .* KL 0\.04 > 0\.02", done.stdout)
    assert re.search(r"cloud +jpeg:quality=90 .* mode not wanted", done.stdout)
    assert re.search(r"\nlatency: .* ms, .* bytes on the wire, .* photos/s", done.stdout)
    unbound = run("plan", bundle.path, "--edge-profile", measured, *LINK).stdout
    assert "nothing bounds the loss" in unbound


@pytest.mark.parametrize(("objective", "key", "sign"), [("bytes", "sent", 1), ("throughput", "throughput", -1)])
def test_a_plan_as_json(measured: Path, bundle: Bundle, objective: str, key: str, sign: int) -> None:
    arguments = ("--objective", objective, "--cloud-only", "words", "--json", "--loss", "0.01", "--downlink", "8")
    made = json.loads(run("plan", bundle.path, "--edge-profile", measured, *LINK, *arguments).stdout)
    assert made["objective"] == objective
    assert made["link"]["downlink"] == 8e6
    assert {one["mode"] for one in made["table"]} == {"split", "cloud"}
    assert made["choice"] == made["table"][0]
    values = [sign * one[key] for one in made["table"]]
    assert values == sorted(values)
    assert made["choice"]["why"] == ""
    assert all(one["why"] for one in made["table"][1:])


def test_a_plot(measured: Path, bundle: Bundle, tmp_path: Path) -> None:
    path = tmp_path / "plan.png"
    done = run("plan", bundle.path, "--edge-profile", measured, *LINK, "--plot", path)
    assert done.exit_code == 0, done.output
    with Image.open(path) as picture:
        assert picture.format == "PNG"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--bandwidth", "0"), "bandwidth 0 Mbit/s cannot be"),
        (("--rtt", "-1"), "rtt -1 ms cannot be"),
        (("--loss", "1"), "loss 1 cannot be"),
        (("--cloud-load", "1"), "cloud load 1 cannot be"),
        (("--modes", "boat"), "--modes 'boat': give some of edge, split, cloud"),
        (("--modes", ","), "--modes ','"),
        (("--tasks", "poems"), "no task 'poems'"),
        (("--cloud-only", "poems"), "no task 'poems'"),
        (("--objective", "energy"), "holds no energy"),
        (("--min-agreement", "1.1"), "min agreement 1.1 cannot be"),
        (("--min-agreement", "0.999", "--modes", "split", "--max-kl", "0"), "KL of at most 0 (the best is"),
        (("--edge-profile", "absent.json"), "cannot read the profile absent.json"),
    ],
)
def test_plans_that_cannot_be(measured: Path, bundle: Bundle, arguments: tuple[str, ...], message: str) -> None:
    assert message in refused(UsageError, "plan", bundle.path, "--edge-profile", measured, *LINK, *arguments)


def test_profiles_of_another_bundle(measured: Path, bundle: Bundle, tmp_path: Path) -> None:
    found: dict[str, Any] = json.loads(measured.read_text())
    found["fingerprint"] = "ab" * 32
    other = tmp_path / "other.json"
    other.write_text(json.dumps(found))
    for arguments in (("--edge-profile", other), ("--edge-profile", other, "--cloud-profile", measured)):
        line = refused(UsageError, "plan", bundle.path, *arguments, *LINK)
        assert "ab" * 32 in line
        assert bundle.fingerprint in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cuts", "c9"), "no cut 'c9'"),
        (("--cuts", "c1"), "possible but not in this bundle"),
        (("--slowdown", "0"), "--slowdown 0 cannot be"),
        (("--slowdown", "nan"), "--slowdown nan cannot be"),
        (("--steps", "0.001"), "--steps '0.001'"),
        (("--steps", "one"), "--steps 'one'"),
        (("--photos", "absent"), "--photos absent is not a folder"),
    ],
)
def test_profiles_that_cannot_be(bundle: Bundle, tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    out = tmp_path / "p.json"
    assert message in refused(UsageError, "profile", bundle.path, "--out", out, *arguments)
    assert not out.exists()


def test_a_folder_without_photos(bundle: Bundle, tmp_path: Path) -> None:
    assert "holds no photos" in refused(
        UsageError, "profile", bundle.path, "--out", tmp_path / "p", "--photos", tmp_path
    )


def test_inspect_marks_the_cuts_that_are_not_dominated(bundle: Bundle) -> None:
    shown = run("inspect", bundle.path, "--all").stdout
    rows = {line.split()[0]: line.split() for line in shown.splitlines() if line}
    assert rows["r1"] == ["r1", "yes", "4x16x16", "1,024", "4,096", "0.0", "0.0"]
    # Same size and work as r1, which is calibrated; flat is smaller than r2 for the same work.
    assert rows["c1"][-1] == "r1"
    assert rows["r2"][-1] == "flat"
    assert "less edge work): r1 (400 bytes coded), flat\n" in shown
    cuts = {one["name"]: one for one in json.loads(run("inspect", bundle.path, "--json").stdout)["cuts"]}
    assert (cuts["r1"]["coded_bytes"], cuts["r1"]["dominated"]) == (400.5, False)
    assert (cuts["c1"]["dominated_by"], cuts["flat"]["coded_bytes"]) == ("r1", None)


@pytest.mark.parametrize("place", ["file/p.json", "folder"])
def test_where_a_profile_cannot_be_written_nothing_is_measured(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    monkeypatch.setattr("splitnet.plan.measure_edge.measure_edge", lambda *_: pytest.fail("it was measured"))
    assert "cannot write" in refused(OutputError, "profile", bundle.path, "--out", tmp_path / place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]
