"""The commands of docs/your-network.md, as they stand there."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splitnet import Edge
from splitnet.bundle import Bundle
from splitnet.bundle.build import build_bundle
from splitnet.bundle.source import ImportOptions, SourceTask

PAGE = Path(__file__).parents[2] / "docs" / "your-network.md"


def _run(blocks: list[str], folder: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", "".join(blocks)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _blocks(text: str, language: str = "") -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [block for found, block in fenced if found == language]


def _section(heading: str, package: str, install: str) -> str:
    """A section whose commands need a package; skips where that is not installed."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed: {install}")
    (section,) = re.findall(rf"^## {heading}\n(.*?)^## ", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert f"`{install}`" in section
    assert isinstance(section, str)
    return section


@pytest.mark.timeout(600)
def test_every_command_runs(tmp_path: Path) -> None:
    blocks = _blocks(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) >= 5
    _run(blocks, tmp_path)
    # Another process, with other hashes and memory: the same bundle.
    labels = SourceTask("animal", "classification", "scores", ("cat", "dog", "emu"))
    options = ImportOptions(size=(96, 96), mean=(127.5,), std=(127.5,), tasks=(labels,))
    again = build_bundle(f"{tmp_path}/mynet.py:make", tmp_path / "again", cuts="all", options=options)
    assert again.fingerprint == Bundle.load(tmp_path / "mynet").fingerprint
    found = {path.parent.name for path in tmp_path.glob("*/bundle.json")}
    assert found == {"mynet", "net", "twins", "aged", "sound", "anysize", "again"}


@pytest.mark.timeout(600)
def test_the_text_detector_and_the_reader(photos: tuple[Path, ...], tmp_path: Path) -> None:
    section = _section("A text detector and a reader", "rapidocr", "pip install --no-deps rapidocr==3.10.0")
    (tmp_path / "photo.jpg").symlink_to(photos[0])
    _run(_blocks(section, "console"), tmp_path)
    rows = set()
    for name in ("det", "rec"):
        cuts = Bundle.load(tmp_path / name).manifest.built_cuts
        assert any(cut.more for cut in cuts) is (name == "rec")
        for cut in cuts:
            shape = " + ".join("x".join(str(side) for side in one.shape) for one in cut.crossing)
            work = f"{cut.macs_before / 1e6:,.1f} | {cut.macs_after / 1e6:,.1f}"
            rows.add(f"| `{cut.name}` | {shape} | {cut.float_bytes:,} | {work} |")
    shown = set(re.findall(r"^\| `[^`]+` \|.*$", section, re.MULTILINE))
    assert len(shown) == 6
    assert shown <= rows
    # Red and blue where the package has them, and the same numbers.
    from onnxruntime import InferenceSession

    spec = importlib.util.find_spec("rapidocr")
    assert spec is not None
    assert spec.origin is not None
    whole = InferenceSession(Path(spec.origin).parent / "models" / "PP-OCRv6_det_small.onnx")
    word = tmp_path / "words" / "00.png"
    pixels = np.asarray(Image.open(word), np.float32)[..., ::-1]
    (expected,) = whole.run(None, {"x": ((pixels - 127.5) / 127.5).transpose(2, 0, 1)[np.newaxis]})
    with Edge(tmp_path / "detector", "local", cut="p2o.pd_op.relu.3.0", codec="none|shuffle|zstd") as edge:
        found = edge.infer(word, outputs=True).outputs["fetch_name_0"]
    assert expected.max() > 0.9
    np.testing.assert_allclose(found, expected[0], atol=1e-4)
    assert [cut.name for cut in Bundle.load(tmp_path / "detector").manifest.calibrated_cuts] == ["p2o.pd_op.relu.3.0"]


@pytest.mark.timeout(300)
def test_faces(photos: tuple[Path, ...], tmp_path: Path) -> None:
    install = "pip install --no-deps face-recognition-models==0.3.0"
    section = _section("Faces", "face_recognition_models", install)
    for name, photo in zip(("one.jpg", "other.jpg"), photos, strict=False):
        (tmp_path / name).symlink_to(photo)
    _run(_blocks(section, "console"), tmp_path)
    # What dlib calls the descriptor is what the zoo's network scales to unit length.
    with Edge(tmp_path / "faces", "local", cut="descriptor", codec="none|shuffle|zstd") as edge:
        scaled = edge.infer(tmp_path / "one.jpg", outputs=True).outputs["embedding"]
    with Edge(tmp_path / "descriptor", "local", codec="none|shuffle|zstd") as edge:
        descriptor = edge.infer(tmp_path / "one.jpg", outputs=True).outputs["descriptor"]
    assert float(scaled @ descriptor) > 0.99 * np.linalg.norm(descriptor)
