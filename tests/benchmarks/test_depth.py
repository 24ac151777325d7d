"""The paper's question: the table says where the photo is the better thing to send."""

import dataclasses
import io
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from benchmarks import depth
from benchmarks.depth import Depth
from splitnet.bundle import Bundle
from splitnet.cloud.model import CloudModel
from splitnet.demo.measure import references
from splitnet.demo.photos import labelled_photos

ROW = Depth("early", "32x112x112", 0.03, 1_605_632, 867_899, "lzma", 207_178, 1.0, 85_304, 0.95)


def test_early_cuts_say_photo_late_ones_features(tmp_path: Path) -> None:
    late = dataclasses.replace(ROW, cut="late", lossless_bytes=3_000, affine8_bytes=800)
    printed = io.StringIO()
    Console(file=printed, width=110).print(depth._table([ROW, late], 18_839, 90_228))
    lines = {line.split()[0]: line for line in printed.getvalue().splitlines() if line.strip()}
    assert lines["early"].count("photo") == 2
    assert lines["late"].count("features") == 2
    depth._plot([ROW, late], 18_839, 90_228, tmp_path / "depth.png")
    with Image.open(tmp_path / "depth.png") as picture:
        assert picture.size == (1100, 616)


def test_a_cut_is_measured_as_the_demo_measures_it(lite0_bundle: Bundle) -> None:
    found = references(lite0_bundle, labelled_photos()[:2], lambda _: None)
    row = depth._depth(lite0_bundle, CloudModel(lite0_bundle), lite0_bundle.cut("block7"), found)
    assert (row.shape, row.float_bytes, row.affine8_agreement) == ("80x14x14", 62_720, 1.0)
    assert row.work == pytest.approx(157.3 / 385.2, abs=0.001)
    assert 5_000 < row.affine4_bytes < row.affine8_bytes < 14_000 < row.lossless_bytes < row.float_bytes
