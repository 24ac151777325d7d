"""Fixtures that the whole suite shares: a real bundle, real photos."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import settings

import featcodec
from featcodec.profile_checks import NAMES
from featcodec.testing.profiles import synthetic_profile
from splitnet.bundle import Bundle
from splitnet.bundle.profiles import maps_shape
from splitnet.errors import SplitnetError

if TYPE_CHECKING:
    import onnx

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


@pytest.fixture
def tiny_network(tmp_path: Path) -> Path:
    """The file of `_write_tiny` in the test's own directory."""
    return _write_tiny(tmp_path)


@pytest.fixture(scope="session")
def tiny_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same for fixtures that live longer; read only."""
    return _write_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_bundle(tiny_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The tiny network with graphs for r1 and r2; read only."""
    from splitnet.bundle.build import build_bundle
    from splitnet.bundle.source import ImportOptions

    return build_bundle(
        tiny_file, tmp_path_factory.mktemp("bundle") / "tiny", cuts=["r1", "r2"], options=ImportOptions()
    )


def _write_tiny(folder: Path) -> Path:
    """An ``.onnx`` file of a few kilobytes: image (N, 3, 16, 16) -> scores (N, 5) and vector (N, 8).

    Its single-tensor cuts are c1, r1, c2, r2, pool and flat; flat is the shared tensor.
    """
    import onnx

    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        tiny (float[N, 3, 16, 16] image) => (float[N, 5] scores, float[N, 8] vector) {
            c1 = Conv<kernel_shape = [3, 3], pads = [1, 1, 1, 1]>(image, w1)
            r1 = Relu(c1)
            c2 = Conv<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(r1, w2)
            r2 = Relu(c2)
            pool = GlobalAveragePool(r2)
            flat = Flatten(pool)
            scores = MatMul(flat, w3)
            vector = Tanh(flat)
        }
    """)
    return _write(folder / "tiny.onnx", model, 0, 1.0, w1=(4, 3, 3, 3), w2=(8, 4, 3, 3), w3=(8, 5))


@pytest.fixture(scope="session")
def sound_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ``.onnx`` file whose input is no image: spectrogram (N, 1, 40, 101) -> scores (N, 5). Read only.

    Its single-tensor cuts are c1, r1, c2, r2, pool and flat.
    """
    return _write_network(
        tmp_path_factory.mktemp("sound") / "sound.onnx",
        "float[N, 1, 40, 101] spectrogram",
        """
        c1 = Conv<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(spectrogram, w1)
        r1 = Relu(c1)
        c2 = Conv<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(r1, w2)
        r2 = Relu(c2)
        pool = GlobalAveragePool(r2)
        flat = Flatten(pool)
        scores = MatMul(flat, w3)
        """,
        w1=(4, 1, 3, 3),
        w2=(8, 4, 3, 3),
        w3=(8, 5),
    )


@pytest.fixture(scope="session")
def vector_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ``.onnx`` file: x (N, 64) -> scores (N, 5), with the cuts h1, a1, h2 and a2. Read only."""
    return _write_network(
        tmp_path_factory.mktemp("vector") / "vector.onnx",
        "float[N, 64] x",
        "h1 = MatMul(x, w1)  a1 = Relu(h1)  h2 = MatMul(a1, w2)  a2 = Relu(h2)  scores = MatMul(a2, w3)",
        w1=(64, 32),
        w2=(32, 16),
        w3=(16, 5),
    )


@pytest.fixture(scope="session")
def pyramid_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ``.onnx`` file that leaves height and width free: photo (N, 3, H, W) -> mask (N, 2, H, W), scores (N, 5).

    It works for sides that are multiples of 4. Its cuts are stem, r1, deep-and-1 (deep at a quarter of the photo's
    size, r1 at half of it) and both. Read only.
    """
    import onnx

    model = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        pyramid (float[N, 3, H, W] photo) => (float[N, 2, H, W] mask, float[N, 5] scores)
        <float[4] twice = {1, 1, 2, 2}> {
            stem = Conv<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(photo, w1)
            r1 = Relu(stem)
            down = Conv<kernel_shape = [3, 3], strides = [2, 2], pads = [1, 1, 1, 1]>(r1, w2)
            r2 = Relu(down)
            deep = Conv<kernel_shape = [1, 1]>(r2, w3)
            up = Resize<mode = "nearest">(deep, , twice)
            both = Add(up, r1)
            small = Conv<kernel_shape = [1, 1]>(both, w4)
            mask = Resize<mode = "nearest">(small, , twice)
            pool = GlobalAveragePool(both)
            flat = Flatten(pool)
            scores = MatMul(flat, w5)
        }
    """)
    weights = {"w1": (4, 3, 3, 3), "w2": (6, 4, 3, 3), "w3": (4, 6, 1, 1), "w4": (2, 4, 1, 1), "w5": (4, 5)}
    return _write(tmp_path_factory.mktemp("pyramid") / "pyramid.onnx", model, 2, 3.0, **weights)


@pytest.fixture(scope="session")
def pyramid_bundle(pyramid_file: Path) -> Bundle:
    """The pyramid for any size in steps of 8, nominally 32x48, with graphs for every cut and `input`; read only."""
    from splitnet.bundle.build import build_bundle
    from splitnet.bundle.source import ImportOptions

    cuts = ["input", "stem", "r1", "deep-and-1", "both"]
    options = ImportOptions(size=(32, 48), any_size=8, resize_short=40, mean=(100.0,), std=(50.0,))
    return build_bundle(pyramid_file, pyramid_file.parent / "bundle", cuts=cuts, options=options)


def _write_network(path: Path, source: str, body: str, **weights: tuple[int, ...]) -> Path:
    import onnx

    model = onnx.parser.parse_model(
        f'<ir_version: 8, opset_import: ["" : 17]> net ({source}) => (float[N, 5] scores) {{ {body} }}'
    )
    return _write(path, model, 1, 4.0, **weights)


def _write(path: Path, model: onnx.ModelProto, seed: int, divisor: float, **weights: tuple[int, ...]) -> Path:
    """The model with random weights of these shapes, seeded."""
    import onnx

    generator = np.random.default_rng(seed)
    for name, shape in weights.items():
        values = generator.standard_normal(shape).astype(np.float32) / np.float32(divisor)
        model.graph.initializer.append(onnx.numpy_helper.from_array(values, name))
    path.write_bytes(model.SerializeToString())
    return path


ProfileMaker = Callable[..., featcodec.TransformProfile]


@pytest.fixture(scope="session")
def profile_for() -> ProfileMaker:
    """Makes a valid profile of random matrices: (bundle, name of a cut, blocks=(h, w), **metadata)."""
    return _profile_for


def _profile_for(
    bundle: Bundle, of: str, blocks: tuple[int, int] | None = None, **metadata: str
) -> featcodec.TransformProfile:
    channels, height, width = maps_shape(bundle.cut(of))
    made = synthetic_profile(channels, (height, width), blocks or (height, width), bands=6)
    known = {"network": bundle.manifest.name, "network_version": bundle.manifest.version, "cut": of, **metadata}
    return featcodec.make_profile(
        metadata={"method": "fisher"} | {key: value for key, value in known.items() if value},
        **{name: getattr(made, name) for name in NAMES},
    )


def _sources() -> str:
    digest = hashlib.sha256()
    for folder in ("models", "graph", "bundle"):
        for path in sorted((ROOT / "splitnet" / folder).rglob("*")):
            if path.suffix in (".py", ".txt", ".safetensors", ".json"):
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
