"""The demo, on two photos; `make demo` runs all of it."""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from splitnet.bundle import Bundle
from splitnet.cli.demo import demo
from splitnet.demo import main as demo_main
from splitnet.demo.main import DemoResults, builder_state, run_demo
from splitnet.demo.measure import check_lossless, references
from splitnet.demo.photos import labelled_photos
from splitnet.demo.server import server_process
from splitnet.demo.settings import CODECS, CUTS, LOSSLESS, SETTINGS
from splitnet.errors import VerificationError


@pytest.fixture(scope="module")
def out(lite0_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    shutil.copytree(lite0_bundle.path, folder / "bundle")
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
    assert len(results.rows) == len(CODECS) * len(CUTS) == len(SETTINGS)
    for setting in SETTINGS:
        for name in ("bytes", "agreement", "accuracy", "edge_ms", "wire_ms", "cloud_ms"):
            assert f"{setting.figure}.{name}" in figures
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
    assert page.count("data:image/png") == 2 * 4
    written = json.loads((out / "results.json").read_text(encoding="utf-8"))
    assert written["figures"] == results.figures()
    assert set(written) == {"machine", "commit", "command", "figures", "rows"}
    assert len(written["rows"]) == len(SETTINGS) * 2
