"""Fixtures that the whole suite shares: a real bundle, real photos."""

from __future__ import annotations

import hashlib
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from hypothesis import settings

from splitnet.bundle import Bundle
from splitnet.errors import SplitnetError

# The same examples on every run, and no deadline: the machine may be busy.
settings.register_profile("splitnet", derandomize=True, deadline=None)
settings.load_profile("splitnet")

ROOT = Path(__file__).resolve().parents[1]
LITE0_CUTS = ("block4", "block7", "block10")


@pytest.fixture(scope="session")
def lite0_bundle(request: pytest.FixtureRequest) -> Bundle:
    """EfficientNet-Lite0 with graphs for block4, block7 and block10; read only, do not write into it.

    Built once for a state of the sources that make it, then kept in pytest's cache directory.
    """
    cache = request.config.cache
    assert cache is not None
    place = cache.mkdir("splitnet-bundles")
    directory = place / f"lite0-{_sources()[:16]}"
    try:
        bundle = Bundle.load(directory)
        bundle.verify()
    except SplitnetError:
        from splitnet.bundle.build import build_bundle

        shutil.rmtree(directory, ignore_errors=True)
        for old in place.glob("lite0-*"):
            shutil.rmtree(old, ignore_errors=True)
        bundle = build_bundle("efficientnet-lite0", directory, cuts=LITE0_CUTS)
    return bundle


@pytest.fixture(scope="session")
def photos() -> tuple[Path, ...]:
    """Foolbox's 20 ImageNet photos in order; the number after the last underscore is the class index."""
    spec = find_spec("foolbox")
    assert spec is not None
    assert spec.origin is not None
    paths = sorted((Path(spec.origin).parent / "data").glob("imagenet_*.jpg"))
    assert len(paths) == 20
    return tuple(paths)


def _sources() -> str:
    digest = hashlib.sha256()
    for folder in ("models", "graph", "bundle"):
        for path in sorted((ROOT / "splitnet" / folder).glob("*")):
            if path.suffix in (".py", ".txt"):
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
