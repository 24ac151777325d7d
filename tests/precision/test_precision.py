"""Edge graphs in fewer bits: close to the float network, smaller, and never half-written."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from splitnet.bundle import Bundle
from splitnet.calibrate.photos import load_inputs
from splitnet.cli import app
from splitnet.edge.encoder import EdgeEncoder
from splitnet.errors import ModelError, UsageError
from splitnet.precision import Precision, PrecisionReport, set_edge_precision
from splitnet.precision.convert import to_float16, to_int8
from splitnet.runtime.bundled import load_graph


@pytest.fixture(scope="module", params=["int8", "float16"])
def made(
    request: pytest.FixtureRequest,
    lite0_bundle: Bundle,
    photos: tuple[Path, ...],
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Bundle, PrecisionReport]:
    precision: Precision = request.param
    out = tmp_path_factory.mktemp("precision") / precision
    bundle, reports = set_edge_precision(lite0_bundle, precision, photos, cuts=["block4"], out=out)
    return bundle, reports[0]


def test_it_is_smaller_and_close(made: tuple[Bundle, PrecisionReport]) -> None:
    _, report = made
    share = {"int8": 0.5, "float16": 0.6}[report.precision]
    assert report.bytes_after < share * report.bytes_before
    assert report.photos == 10
    assert report.agreement["classification"] >= 0.9
    name, kl = report.distortion["classification"]
    assert name == "kl"
    assert 0 < kl < {"int8": 0.05, "float16": 0.001}[report.precision]


def test_the_bundle_says_so_and_works(
    made: tuple[Bundle, PrecisionReport], lite0_bundle: Bundle, photos: tuple[Path, ...]
) -> None:
    bundle, report = made
    bundle.verify()
    cut, other = bundle.cut("block4"), bundle.cut("block7")
    assert (cut.precision, cut.transform) == (report.precision, None)
    assert (other.precision, other.transform) == ("float32", lite0_bundle.cut("block7").transform)
    assert bundle.fingerprint != lite0_bundle.fingerprint
    one = load_inputs(photos[:1], bundle.manifest.input)
    assert cut.edge is not None
    (features,) = load_graph(bundle, cut.edge).run({bundle.manifest.input.tensor: one})
    assert features.dtype == np.float32
    assert len(EdgeEncoder(bundle, "block4").encode(photos[0]).frame) > 1000
    with pytest.raises(UsageError, match="already"):
        set_edge_precision(bundle, "int8", photos, cuts=["block4"])


def test_a_float32_bundle_keeps_its_fingerprint(lite0_bundle: Bundle) -> None:
    assert b"precision" not in lite0_bundle.manifest.canonical()


def test_wrong_use_writes_nothing(lite0_bundle: Bundle, photos: tuple[Path, ...], tmp_path: Path) -> None:
    out = tmp_path / "out"
    unknown: Precision = "int4"  # type: ignore[assignment]  # what a user may write
    for precision, cuts, few, match in (
        (unknown, [], photos, "no edge precision 'int4'; there are: int8, float16"),
        ("int8", ["block99"], photos, "no cut 'block99'"),
        ("int8", [], photos[:7], "at least 8 photos"),
    ):
        with pytest.raises(UsageError, match=match):
            set_edge_precision(lite0_bundle, precision, few, cuts=cuts, out=out)  # type: ignore[arg-type]
    assert not any(tmp_path.iterdir())


def test_the_same_photos_give_the_same_bytes_and_damage_is_an_error(
    lite0_bundle: Bundle, photos: tuple[Path, ...], tmp_path: Path
) -> None:
    edge = lite0_bundle.cut("block4").edge
    assert edge is not None
    graph = lite0_bundle.open_bytes(edge)
    inputs = list(load_inputs(photos[:2], lite0_bundle.manifest.input)[:, None])
    assert to_int8(graph, inputs) == to_int8(graph, inputs)
    assert to_float16(graph) == to_float16(graph)
    broken = onnx.load_from_string(graph)
    del broken.graph.initializer[:]
    with pytest.raises(ModelError, match="cannot be quantised to int8"):
        to_int8(broken.SerializeToString(), inputs)


def test_a_bundle_is_replaced_in_its_place(lite0_bundle: Bundle, photos: tuple[Path, ...], tmp_path: Path) -> None:
    place = tmp_path / "bundle"
    shutil.copytree(lite0_bundle.path, place)
    steps: list[str] = []
    bundle, _ = set_edge_precision(
        Bundle.load(place), "float16", photos[:8], cuts=["block4"], progress=lambda what, *_: steps.append(what)
    )
    assert bundle.path == place
    assert steps == ["block4 in float16", "done"]
    assert {path.name for path in tmp_path.iterdir()} == {"bundle"}


def test_build_does_it_all_at_once(photos: tuple[Path, ...], tmp_path: Path) -> None:
    data, out = tmp_path / "photos", tmp_path / "bundle"
    data.mkdir()
    for photo in photos[:8]:
        shutil.copy(photo, data)
    command = ["build", "efficientnet-lite0", "--cuts", "block4", "--out", str(out), "--edge-precision", "float16"]
    result = CliRunner().invoke(app, command)
    assert (type(result.exception), "--data DIR" in str(result.exception)) == (UsageError, True)
    assert not out.exists()
    result = CliRunner().invoke(app, [*command, "--data", str(data)])
    assert result.exit_code == 0, result.output
    assert "Edge graphs in float16, 4 photos" in result.output
    assert Bundle.load(out).cut("block4").precision == "float16"
    assert {path.name for path in tmp_path.iterdir()} == {"photos", "bundle"}


def test_photos_without_a_precision_are_a_mistake(tmp_path: Path) -> None:
    command = ["build", "efficientnet-lite0", "--cuts", "block4", "--out", str(tmp_path / "x"), "--data", str(tmp_path)]
    with pytest.raises(UsageError, match="--data is for --edge-precision"):
        CliRunner().invoke(app, command, catch_exceptions=False)


def test_of_many_photos_some_are_taken(
    lite0_bundle: Bundle, photos: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("splitnet.precision.apply.MOST_PHOTOS", 10)
    _, reports = set_edge_precision(lite0_bundle, "float16", photos, cuts=["block4"], out=tmp_path / "bundle")
    assert reports[0].photos == 5
