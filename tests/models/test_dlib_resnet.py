"""dlib's residual network as a torch module."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from splitnet.errors import ModelError
from splitnet.graph.export import export
from splitnet.graph.split import split_network
from splitnet.models import find_network
from splitnet.models.dlib_file import AddSkip, Affine, Convolution, Dense, DlibNetwork, Pool, read_network
from splitnet.models.dlib_resnet import DlibResNet
from splitnet.models.preprocess import normalise, preprocess

NETWORK = find_network("dlib-face-resnet")
TINY = ("stem", "pool", "block0", "block1", "pooled", "descriptor")


def layer_by_layer(network: DlibNetwork, image: Tensor) -> Tensor:
    """The descriptor, computed one layer of the file after the other; AddSkip adds what the last Relu but one left."""
    x, tags = image, [image]
    for layer in network.layers:
        match layer:
            case Convolution(weight, bias, stride, padding):
                x = functional.conv2d(x, torch.tensor(weight), torch.tensor(bias), stride, padding)
            case Affine(gain, shift):
                x = x * torch.tensor(gain)[:, None, None] + torch.tensor(shift)[:, None, None]
            case Pool("max", kernel, stride):
                x = tags[-1] = functional.max_pool2d(x, kernel, stride)
            case Pool(_, 0, _):
                x = x.mean((2, 3))
            case Pool(_, kernel, stride):
                tags[-2] = functional.avg_pool2d(tags[-2], kernel, stride)
            case AddSkip():
                skip = tags[-2]
                shape = [max(pair) for pair in zip(x.shape, skip.shape, strict=True)]
                total = torch.zeros(shape)
                for part in (x, skip):
                    n, channels, rows, columns = part.shape
                    total[:n, :channels, :rows, :columns] += part
                x = total
            case Dense(weight):
                x = x @ torch.tensor(weight)
            case _:
                x = functional.relu(x)
                tags.append(x)
    return x


@pytest.fixture
def tiny(tiny_dlib: DlibNetwork) -> DlibResNet:
    return DlibResNet(tiny_dlib.layers).eval()


@torch.no_grad()
def test_it_computes_what_the_layers_say(tiny: DlibResNet, tiny_dlib: DlibNetwork) -> None:
    torch.manual_seed(0)
    image = torch.randn(2, 3, 35, 35)
    named = tiny(image)
    assert tuple(named) == (*TINY, "embedding")
    assert [tuple(named[name].shape[1:]) for name in TINY] == [
        (2, 17, 17),
        (2, 8, 8),
        (2, 8, 8),
        (3, 4, 4),
        (3,),
        (4,),
    ]
    torch.testing.assert_close(named["descriptor"], layer_by_layer(tiny_dlib, image))
    torch.testing.assert_close(named["embedding"].norm(dim=1), torch.ones(2))


@torch.no_grad()
def test_it_resumes_anywhere(tiny: DlibResNet) -> None:
    torch.manual_seed(0)
    whole = tiny(torch.randn(1, 3, 35, 35))
    for name in TINY:
        rest = tiny.resume(name, whole[name])
        assert tuple(rest) == tuple(whole)[TINY.index(name) :]
        assert all(torch.equal(rest[follower], whole[follower]) for follower in rest)
    with pytest.raises(KeyError):
        tiny.resume("block2", whole["block1"])


@torch.no_grad()
def test_a_zero_descriptor_stays_zero(tiny: DlibResNet) -> None:
    assert torch.equal(tiny.resume("descriptor", torch.zeros(1, 4))["embedding"], torch.zeros(1, 4))


def test_every_named_tensor_can_be_cut(tiny: DlibResNet) -> None:
    model = export(tiny, (3, 35, 35), input_name="image", inner=TINY, outputs=["embedding"])
    split = split_network(model, ["embedding"], TINY)
    assert [cut.tensor for cut in split.cuts] == list(TINY)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda layers: layers[:-1], "layer 20 is missing, expected Dense"),
        (lambda layers: (*layers, layers[2]), "1 layers behind the last"),
        (lambda layers: layers[1:], "layer 0 is of the kind Affine, expected Convolution"),
        (lambda layers: (*layers[:3], Pool("max", 2, 2), *layers[4:]), "layer 3 is Pool.*expected Pool"),
        (lambda layers: (*layers[:4], *layers[11:13], *layers[6:]), "a convolution of 2 to 3 for 2|of 2 to 2 for 3"),
        (lambda layers: (*layers[:1], layers[12], *layers[2:]), "has 3 channels and a convolution of 3 to 2"),
        (lambda layers: (*layers[:-1], Dense(np.zeros((5, 4), np.float32))), "takes 5 inputs, not 3"),
    ],
)
def test_layers_that_do_not_fit(tiny_dlib: DlibNetwork, change: object, message: str) -> None:
    assert callable(change)
    with pytest.raises(ModelError, match=message):
        DlibResNet(change(tiny_dlib.layers))


@torch.no_grad()
def test_the_published_network_answers_as_dlib_does(dlib_face_resnet: bytes) -> None:
    """The numbers are those of dlib 20.0.1 for the same pixels."""
    network = DlibResNet(read_network(dlib_face_resnet, "published").layers).eval()
    rows, columns = np.mgrid[0:150, 0:150]
    planes = ((rows * 2 + columns) % 256, (rows + 3 * columns) % 256, (rows * columns) // 90 % 256)
    pixels = np.stack(planes, -1).astype(np.uint8)
    named = network(torch.from_numpy(normalise(pixels, NETWORK.input)))
    assert tuple(named) == (*NETWORK.cuts, "embedding")
    descriptor = named["descriptor"][0]
    expected = [-0.061325, 0.07714, 0.012369, 0.009762, -0.110647, -0.072073, -0.008791, -0.028032]
    assert descriptor[:8].tolist() == pytest.approx(expected, abs=2e-6)
    assert float(descriptor.norm()) == pytest.approx(1.298549, abs=2e-6)


@torch.no_grad()
def test_faces_of_one_person_are_close(dlib_face_resnet: bytes) -> None:
    """On 128x128 crops without dlib's own alignment: .98 over all pairs of the collection."""
    folder = Path(os.environ.get("SPLITNET_DATA") or "absent") / "faces_grey"
    if not (folder / "labels.csv").is_file():
        pytest.skip("SPLITNET_DATA does not name a data directory with faces_grey/labels.csv")
    with (folder / "labels.csv").open(encoding="utf-8", newline="") as stream:
        photos = [(row["identity"], folder / row["file"]) for row in csv.DictReader(stream)]
    by_person: dict[str, list[Path]] = {}
    for identity, path in photos:
        by_person.setdefault(identity, []).append(path)
    pairs = [paths[:2] for paths in by_person.values() if len(paths) > 1][:40]
    network = DlibResNet(read_network(dlib_face_resnet, "published").layers).eval()
    batch = [preprocess(Image.open(path).convert("RGB"), NETWORK.input) for pair in pairs for path in pair]
    embedding = network(torch.from_numpy(np.concatenate(batch)))["embedding"]
    similar = embedding[0::2] @ embedding[1::2].T
    same, different = similar.diagonal(), similar[~torch.eye(len(pairs), dtype=torch.bool)]
    assert float((same[:, None] > different).float().mean()) > 0.95
