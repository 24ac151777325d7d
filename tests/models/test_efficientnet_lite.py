"""EfficientNet-Lite as a torch module."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from splitnet.models import find_network
from splitnet.models.efficientnet_lite import LITE0, LITE1, LITE2, ConvNorm, EfficientNetLite, Scale
from splitnet.models.weights import EFFICIENTNET_LITE0


@pytest.fixture(scope="module")
def unfolded() -> EfficientNetLite:
    network = EfficientNetLite().eval()
    network.load_published(EFFICIENTNET_LITE0.load())
    return network


def test_folding_changes_nothing_but_the_last_bits(unfolded: EfficientNetLite) -> None:
    folded = find_network("efficientnet-lite0").build()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    torch.manual_seed(0)
    image = torch.randn(2, 3, 224, 224)
    with torch.no_grad():
        before, after = unfolded(image), folded(image)
    assert list(before) == ["stem", *(f"block{i}" for i in range(16)), "head", "pooled", "logits", "embedding"]
    for name, expected in before.items():
        assert (after[name] - expected).abs().max() <= 1e-4 * expected.abs().max(), name


def test_folding_twice_is_folding_once() -> None:
    unit = ConvNorm(3, 4, 3).eval()
    unit.fold()
    weights = unit.conv.weight.clone()
    unit.fold()
    assert torch.equal(unit.conv.weight, weights)


def test_embedding_has_unit_length_and_survives_zero(unfolded: EfficientNetLite) -> None:
    with torch.no_grad():
        named = unfolded(torch.randn(2, 3, 64, 64))
    torch.testing.assert_close(named["embedding"].norm(dim=1), torch.ones(2))
    network = EfficientNetLite(Scale(1.0, 1.0, 32)).eval().fold()
    nn.init.constant_(network.head.conv.weight, 0.0)
    assert network.head.conv.bias is not None
    nn.init.constant_(network.head.conv.bias, -1.0)
    with torch.no_grad():
        embedding = network(torch.randn(1, 3, 32, 32))["embedding"]
    assert torch.equal(embedding, torch.zeros(1, 1280))


@pytest.mark.parametrize(
    ("scale", "blocks", "millions"), [(LITE0, 16, 4.652), (LITE1, 21, 5.417), (LITE2, 21, 6.092)], ids=str
)
def test_variants_have_the_published_size(scale: Scale, blocks: int, millions: float) -> None:
    network = EfficientNetLite(scale)
    assert len(network.blocks) == blocks
    assert sum(parameter.numel() for parameter in network.parameters()) / 1e6 == pytest.approx(millions, abs=0.001)


def test_padding_is_tensorflows_same() -> None:
    """At stride 2 on even sides, the odd row and column of zeros go to the bottom and the right."""
    unit = ConvNorm(1, 1, 3, 2, linear=True).eval()
    unit.norm = nn.Identity()
    nn.init.ones_(unit.conv.weight)
    with torch.no_grad():
        result = unit(torch.ones(1, 1, 4, 4))
    assert result.squeeze().tolist() == [[9.0, 6.0], [6.0, 4.0]]
