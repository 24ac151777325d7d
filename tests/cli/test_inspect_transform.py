"""`splitnet inspect` on a calibrated bundle."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import featcodec
from splitnet.bundle import Bundle, add_transform
from splitnet.bundle.build import build_bundle
from splitnet.cli.inspect import inspect
from splitnet.errors import BundleError

CURVE = {
    "rows": [
        {"bytes": 2320.4, "bytes_low": 2000.0, "step": 1.0, "kl": 0.0105},
        {"step": 2.0, "bytes": 160.25, "kl": 0.04, "x": "y"},
    ]
}
app = typer.Typer()
app.command()(inspect)


@pytest.fixture
def bundle(tiny_network: Path, tmp_path: Path, profile_for: Callable[..., featcodec.TransformProfile]) -> Bundle:
    plain = build_bundle(tiny_network, tmp_path / "bundle", cuts=["r1", "r2"])
    return add_transform(plain, "r1", profile_for(plain, "r1", (8, 4)).to_bytes(), curve=CURVE, step=1.5)


def test_words_and_table(bundle: Bundle) -> None:
    shown = CliRunner().invoke(app, [str(bundle.path)]).stdout
    transform = bundle.cut("r1").transform
    assert transform is not None
    fingerprint = featcodec.load_profile(bundle.open_bytes(transform.profile)).fingerprint.hex()
    assert f"transform of r1: profile {fingerprint[:16]}, " in shown
    assert ", method fisher\n" in shown
    assert "step 1.5, 8 blocks of 8x4 with 32 frequencies in 6 bands, 6 contexts" in shown
    rows = [line.split() for line in shown.splitlines()]
    assert ["step", "bytes", "kl"] in rows
    assert ["1", "2,320", "0.0105"] in rows
    assert ["2", "160", "0.04"] in rows


def test_json(bundle: Bundle) -> None:
    report = json.loads(CliRunner().invoke(app, [str(bundle.path), "--json"]).stdout)
    assert [cut["name"] for cut in report["cuts"] if "transform" in cut] == ["r1"]
    transform = next(cut["transform"] for cut in report["cuts"] if cut["name"] == "r1")
    assert transform["curve"] == CURVE
    assert (transform["step"], transform["block"], transform["bands"]) == (1.5, [8, 4], 6)


def test_a_curve_of_something_else(bundle: Bundle, profile_for: Callable[..., featcodec.TransformProfile]) -> None:
    data = profile_for(bundle, "r1").to_bytes()
    after = add_transform(bundle, "r1", data, curve={"rows": [1, 2]})
    result = CliRunner().invoke(app, [str(after.path)])
    assert isinstance(result.exception, BundleError)
    assert "r1.curve.json is not a curve" in str(result.exception)
