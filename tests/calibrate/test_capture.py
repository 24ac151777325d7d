"""Feature maps of any torch module into a file."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from splitnet.calibrate.capture import capture_features
from splitnet.errors import ModelError, OutputError, UsageError


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3)
        self.act = nn.ReLU(inplace=True)
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output: torch.Tensor = self.head(self.act(self.stem(x)).mean((2, 3)))
        return output


@pytest.fixture
def net() -> _Net:
    torch.manual_seed(3)
    return _Net().eval()


def test_maps_are_those_before_a_layer_that_works_in_place(net: _Net, tmp_path: Path) -> None:
    batch = torch.randn(2, 3, 8, 9)
    with capture_features(net, "stem", tmp_path / "stem.npy"):
        net(batch)
        net(batch + 1)
    written = np.load(tmp_path / "stem.npy")
    assert (written.dtype, written.shape) == (np.float32, (4, 4, 6, 7))
    np.testing.assert_array_equal(written[:2], net.stem(batch).detach().numpy())
    assert written.min() < 0
    assert not net.stem._forward_hooks


def test_no_more_than_asked_for(net: _Net, tmp_path: Path) -> None:
    with capture_features(net, "stem", tmp_path / "stem.npy", limit=3):
        for _ in range(3):
            net(torch.randn(2, 3, 8, 8))
    assert np.load(tmp_path / "stem.npy").shape[0] == 3


def test_an_unknown_layer_lists_near_names(net: _Net, tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError, match="no layer 'sten' in _Net; near names: stem"),
        capture_features(net, "sten", tmp_path / "x.npy"),
    ):
        pytest.fail("it ran")


@pytest.mark.parametrize(("layer", "says"), [("head", r"puts out \(2, 2\)"), ("stem", "one shape at a time")])
def test_what_is_no_set_of_feature_maps(net: _Net, tmp_path: Path, layer: str, says: str) -> None:
    with pytest.raises(ModelError, match=says), capture_features(net, layer, tmp_path / "x.npy"):
        _ = [net(torch.randn(2, 3, size, size)) for size in (8, 9)]
    assert list(tmp_path.iterdir()) == []


def test_a_layer_that_did_not_run(net: _Net, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="did not run"), capture_features(net, "stem", tmp_path / "x.npy"):
        pass


def test_a_place_that_cannot_be_written(net: _Net, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="missing"), capture_features(net, "stem", tmp_path / "missing" / "x.npy"):
        net(torch.randn(1, 3, 8, 8))
