"""The zoo: the networks that `splitnet build NAME` knows, by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from splitnet.bundle.manifest import ImageInput
from splitnet.errors import UsageError
from splitnet.models.weights import (
    DLIB_FACE_RESNET,
    EFFICIENTNET_LITE0,
    EFFICIENTNET_LITE1,
    EFFICIENTNET_LITE2,
    PublishedFile,
    PublishedWeights,
)

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ZooTask:
    """A task of a network: its name, its kind (see `splitnet.tasks`), its output, and a label file beside
    this module.
    """

    name: str
    kind: str
    output: str
    labels: str | None = None


@dataclass(frozen=True)
class Network:
    """A pretrained network.

    `build` returns a torch module in evaluation mode with its batch norms folded; it maps the image tensor
    described by `input` to a dictionary of named tensors. `cuts` are the names that may become cuts,
    `tasks` name the outputs.
    """

    name: str
    version: str
    weights: PublishedFile
    input: ImageInput
    cuts: tuple[str, ...]
    tasks: tuple[ZooTask, ...]
    build: Callable[[], nn.Module]


def _build_lite(variant: int, weights: PublishedWeights) -> nn.Module:
    from splitnet.models.efficientnet_lite import VARIANTS, EfficientNetLite

    network = EfficientNetLite(VARIANTS[variant]).eval()
    network.load_published(weights.load())
    return network.fold()


def _lite(variant: int, weights: PublishedWeights, side: int, blocks: int) -> Network:
    return Network(
        name=f"efficientnet-lite{variant}",
        version="1",
        weights=weights,
        input=ImageInput(
            tensor="image",
            height=side,
            width=side,
            # All variants were evaluated with a border of 32 pixels around the crop.
            resize_short=side + 32,
            interpolation="bicubic",
            mean=(127.0, 127.0, 127.0),
            std=(128.0, 128.0, 128.0),
        ),
        cuts=("stem", *(f"block{index}" for index in range(blocks)), "head", "pooled"),
        tasks=(
            ZooTask("classification", "classification", "logits", "imagenet_labels.txt"),
            ZooTask("embedding", "embedding", "embedding"),
        ),
        build=partial(_build_lite, variant, weights),
    )


def _dlib_face_resnet() -> nn.Module:
    from splitnet.models.dlib_file import read_network
    from splitnet.models.dlib_resnet import DlibResNet

    name = Path(DLIB_FACE_RESNET.path).name
    return DlibResNet(read_network(DLIB_FACE_RESNET.read(), name).layers).eval()


ZOO: dict[str, Network] = {
    network.name: network
    for network in (
        _lite(0, EFFICIENTNET_LITE0, 224, 16),
        _lite(1, EFFICIENTNET_LITE1, 240, 21),
        _lite(2, EFFICIENTNET_LITE2, 260, 21),
        Network(
            name="dlib-face-resnet",
            version="1",
            weights=DLIB_FACE_RESNET,
            input=ImageInput(
                tensor="image",
                height=150,
                width=150,
                resize_short=150,
                interpolation="bilinear",
                mean=(122.782, 117.001, 104.298),
                std=(256.0, 256.0, 256.0),
            ),
            cuts=("stem", "pool", *(f"block{index}" for index in range(14)), "pooled", "descriptor"),
            tasks=(ZooTask("embedding", "embedding", "embedding"),),
            build=_dlib_face_resnet,
        ),
    )
}


def find_network(name: str) -> Network:
    """The network called `name`. Raises UsageError that names the closest match and all there are."""
    try:
        return ZOO[name]
    except KeyError:
        close = difflib.get_close_matches(name, ZOO, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        known = ", ".join(sorted(ZOO))
        raise UsageError(
            f"no network is called {name!r}: {hint}known: {known}; or give a file, or mynet.py:make"
        ) from None


def read_labels(name: str) -> tuple[str, ...]:
    """The lines of a label file beside this module, for example ``imagenet_labels.txt`` (1,000 labels in
    words).

    ImageNet's labels are the first lemma of each class's synset in WordNet 3.0 (Princeton University), in
    the order of the class indices; where two first lemmas are the same word, the second one's next lemma or
    a gloss tells them apart.
    """
    return tuple(files("splitnet.models").joinpath(name).read_text(encoding="utf-8").splitlines())
