"""A tiny bundle, as many versions of it as a test wants, and requests for them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import featcodec
from splitnet.bundle import Bundle
from splitnet.wire.exchange import InferenceRequest

Deploy = Callable[..., Bundle]


@pytest.fixture
def deploy(tiny_bundle: Bundle, tmp_path: Path) -> Deploy:
    """Puts a version into the repository `tmp_path / "models"`: (version, **fields of the manifest) -> its bundle."""

    def put(version: str, **fields: object) -> Bundle:
        target = tmp_path / "models" / "tiny" / version
        manifest = json.loads((tiny_bundle.path / "bundle.json").read_text()) | {"version": version} | fields
        shutil.copytree(tiny_bundle.path, target, dirs_exist_ok=True)
        (target / "bundle.json").write_text(json.dumps(manifest))
        return Bundle.load(target)

    return put


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """The repository folder that `deploy` fills."""
    folder = tmp_path / "models"
    folder.mkdir()
    return folder


def request_for(bundle: Bundle, version: str = "") -> InferenceRequest:
    """A request at cut r2 for the bundle."""
    cut = bundle.cut("r2")
    features = np.random.default_rng(3).standard_normal((1, *cut.shape), dtype=np.float32)
    return InferenceRequest("tiny", bundle.fingerprint, "r2", featcodec.encode(features, "none|raw"), version=version)
