"""The codec benchmark's parts, on small maps."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import featcodec
from benchmarks.codecs import report
from benchmarks.codecs.codecs import OWN, Codec, lossless, own
from benchmarks.codecs.measure import measure
from benchmarks.codecs.tensors import Maps, divisor, from_file, tiled, untiled, with_symbols
from splitnet.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def maps() -> Maps:
    values = np.random.default_rng(2).standard_normal((2, 5, 6, 7)).astype(np.float32)
    return Maps("small", "float32", tuple(values))


@pytest.mark.parametrize("shape", [(1, 3, 4), (5, 6, 7), (80, 14, 14), (7, 1, 9)])
def test_tiles_come_apart_again(shape: tuple[int, int, int]) -> None:
    array = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    np.testing.assert_array_equal(untiled(tiled(array), shape), array)
    whole = tiled(array, divisor(shape))
    assert whole.size == array.size
    np.testing.assert_array_equal(untiled(whole, shape), array)


def test_symbols_are_what_affine_sends(maps: Maps) -> None:
    kinds = {one.kind: one for one in with_symbols(maps)}
    assert list(kinds) == ["float32", "affine8", "affine6", "affine4"]
    frame = featcodec.encode(maps.arrays[0], "affine:bits=6|raw")
    assert kinds["affine6"].arrays[0].tobytes() in frame
    assert max(int(array.max()) for array in kinds["affine4"].arrays) == 15


def test_every_codec_keeps_every_byte_or_says_what_it_misses(maps: Maps) -> None:
    for one in with_symbols(maps):
        rows = [measure(codec, one, 0.0) for codec in lossless(one.kind)]
        assert [row.codec for row in rows][:4] == [
            "none|gzip:level=9",
            "none|zlib:level=9",
            "none|bz2",
            "none|lzma:preset=9",
        ]
        assert all(row.note or (row.bits_per_value or 0) > 0 for row in rows)


def test_own_coders_appear_as_soon_as_they_are_registered() -> None:
    known = {stage.name for stage in featcodec.list_stages()} & set(OWN)
    listed = {codec.name.removeprefix("none|") for kind in ("float32", "affine8") for codec in lossless(kind)}
    assert known <= listed


def test_a_codec_that_changes_a_byte_is_found(maps: Maps) -> None:
    broken = dataclasses.replace(own("none|zlib", "general"), decode=lambda data, shape: featcodec.decode(data) + 1)
    with pytest.raises(AssertionError, match="changed small float32"):
        measure(broken, maps, 0.0)


def test_a_missing_library_is_a_row(maps: Maps) -> None:
    row = measure(Codec("peer", "general", missing="pip install peer"), maps, 0.0)
    assert (row.bits_per_value, row.note) == (None, "pip install peer")
    assert report.smallest([row]) is None


def test_tables_for_papers_and_programs(maps: Maps, tmp_path: Path) -> None:
    rows = [
        measure(own("none|zlib", "paper"), maps, 0.0),
        measure(Codec("a_b", "ours", missing="pip install x"), maps, 0.0),
    ]
    report.write_csv(tmp_path / "rows.csv", rows)
    report.write_latex(tmp_path / "rows.tex", rows)
    assert (tmp_path / "rows.csv").read_text(encoding="utf-8").splitlines()[2].startswith("small,float32,a_b,ours,,,")
    assert r"a\_b & -- \\" in (tmp_path / "rows.tex").read_text(encoding="utf-8")


@pytest.mark.parametrize("values", [np.zeros((3, 4), np.float32), np.zeros((1, 2, 3), np.int32), np.zeros((0, 2, 3))])
def test_features_of_another_form_are_refused(tmp_path: Path, values: np.ndarray) -> None:
    np.save(tmp_path / "x.npy", values)
    with pytest.raises(UsageError, match=r"x\.npy"):
        from_file(tmp_path / "x.npy")


def test_anyones_features(tmp_path: Path) -> None:
    np.save(tmp_path / "mine.npy", np.random.default_rng(4).standard_normal((2, 4, 6, 6)))
    command = [sys.executable, "-m", "benchmarks.codecs", "--features", str(tmp_path / "mine.npy"), "--short"]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out")], cwd=ROOT, capture_output=True, text=True, check=False, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert "mine, affine4" in done.stdout
    written = json.loads((tmp_path / "out/codecs.json").read_text(encoding="utf-8"))
    assert {row["tensor"] for row in written["rows"]} == {"mine"}
    assert "data:image/svg+xml" in (tmp_path / "out/index.html").read_text(encoding="utf-8")
