"""The demo, on two photos; `make demo` runs all of it."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import featcodec
from splitnet.bundle import Bundle, add_transform
from splitnet.cli.demo import demo
from splitnet.demo import main as demo_main
from splitnet.demo.main import DemoResults, builder_state, run_demo
from splitnet.demo.measure import check_lossless, references
from splitnet.demo.photos import labelled_photos
from splitnet.demo.server import server_process
from splitnet.demo.settings import CODECS, CUTS, LOSSLESS, Setting, settings_of
from splitnet.errors import VerificationError


@pytest.fixture(scope="module")
def out(
    lite0_bundle: Bundle,
    profile_for: Callable[..., featcodec.TransformProfile],
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """A demo's folder with its bundle, calibrated at block7, if only with random matrices."""
    folder = tmp_path_factory.mktemp("demo")
    data = profile_for(lite0_bundle, "block7").to_bytes()
    add_transform(lite0_bundle, "block7", data, step=1.5, out=folder / "bundle")
    (folder / "bundle.stamp").write_text(builder_state(), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def printed() -> io.StringIO:
    return io.StringIO()


@pytest.fixture(scope="module")
def results(out: Path, printed: io.StringIO) -> DemoResults:
    console = Console(file=printed, width=80, highlight=False)
    return run_demo(out, console, photos=labelled_photos()[:2], repeats=1)


def test_tables_fit_eighty_columns_uncut(results: DemoResults, printed: io.StringIO) -> None:
    text = printed.getvalue()
    assert "from an earlier run" in text
    assert max(len(line.rstrip()) for line in text.splitlines() if "wrote" not in line and "bundle" not in line) <= 80
    assert "…" not in text
    for words in ("bull mastiff", "folding chair", "affine|zstd", "overhead", "identical to the bit"):
        assert words in " ".join(text.split())


def test_every_setting_has_its_figures(results: DemoResults) -> None:
    figures = results.figures()
    settings = [row.setting for row in results.rows]
    assert [one for one in settings if one.cut == "block7"][:3] == [
        Setting("block7", "transform", "transform:step=1.5|rans"),
        Setting("block7", "transform_1.25", "transform:step=1.25|rans"),
        Setting("block7", "transform_2.0", "transform:step=2.0|rans"),
    ]
    assert [(one.cut, one.codec_name) for one in settings[-len(CODECS) * len(CUTS) :]] == [
        (cut, name) for name in CODECS for cut in ("block7", "block4", "block10")
    ]
    for setting in settings:
        for name in ("bytes", "agreement", "accuracy", "edge_ms", "wire_ms", "cloud_ms"):
            assert f"{setting.figure}.{name}" in figures
    assert figures["demo.block7.transform_2.0.bytes"] < figures["demo.block7.transform.bytes"] < 62_720
    assert figures["demo.block7.affine8_zstd.bytes"] < 14_000
    assert figures["demo.block7.affine8_zstd.agreement"] == 1.0
    assert figures["demo.block7.none_raw.bytes"] == pytest.approx(62_720, abs=64)
    assert figures["demo.overhead_ms"] > 0


def test_lossless_codecs_keep_the_logits(results: DemoResults) -> None:
    assert results.lossless.compared == len(LOSSLESS) * len(CUTS) * 2
    assert results.lossless_ok


def test_a_wrong_answer_is_found(lite0_bundle: Bundle, tmp_path: Path) -> None:
    [reference] = references(lite0_bundle, labelled_photos()[:1], lambda _: None)
    wrong = dataclasses.replace(reference, logits=reference.logits * np.float32(1.0001))
    with server_process(lite0_bundle.path, tmp_path / "log") as address:
        found = check_lossless(lite0_bundle, address, ["block7"], [wrong], lambda _: None)
    assert found.worst > demo_main.TOLERANCE


def test_a_wrong_answer_ends_the_command(results: DemoResults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lossless = dataclasses.replace(results.lossless, worst=2e-5)
    monkeypatch.setattr(demo_main, "run_demo", lambda *_: dataclasses.replace(results, lossless=lossless))
    with pytest.raises(VerificationError, match="2e-05"):
        demo(tmp_path)


def test_the_page_holds_everything_itself(results: DemoResults, out: Path) -> None:
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "http" not in page.replace("http://www.w3.org", "")
    assert page.count("<figure>") == 2
    assert page.count("data:image/png") == 2 * 5
    assert "transform:step=1.5|rans" in page
    written = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert written["figures"] == results.figures()
    assert set(written) == {"machine", "commit", "command", "figures", "rows"}
    assert len(written["rows"]) == len(results.rows) * 2


def test_without_profiles_the_default_is_a_plain_codec(lite0_bundle: Bundle) -> None:
    cuts = tuple(cut.model_copy(update={"transform": None}) for cut in lite0_bundle.manifest.cuts)
    plain = Bundle(lite0_bundle.path, lite0_bundle.manifest.model_copy(update={"cuts": cuts}))
    settings = settings_of(plain)
    assert settings[0] == Setting("block7", "affine8_zstd", "affine:bits=8|zstd:level=3")
    assert len(settings) == len(CODECS) * len(CUTS)
