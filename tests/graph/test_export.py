"""Torch modules become graphs with names, and nothing of the machine in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from splitnet.errors import ModelError
from splitnet.graph.export import export
from splitnet.graph.extract import serialise
from splitnet.runtime.onnxruntime_engine import OnnxGraph


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        first = self.first(image).relu()
        second = self.second(first).relu()
        return {"first": first, "second": second, "mean": second.mean((2, 3))}


class Stubborn(nn.Module):
    def forward(self, image: Tensor) -> dict[str, Tensor]:
        if image.sum().item() > 0:
            raise ValueError("positive")
        return {"y": image.relu()}


def test_names_survive_and_the_batch_is_free() -> None:
    module = Small()
    model = export(module, (3, 12, 12), input_name="image", inner=["first", "second"], outputs=["mean"])
    assert [output.name for output in model.graph.output] == ["mean"]
    assert {"first", "second"} <= {name for node in model.graph.node for name in node.output}
    for batch in (1, 2, 5):
        image = torch.randn(batch, 3, 12, 12)
        (mean,) = OnnxGraph(serialise(model)).run({"image": image.numpy()})
        np.testing.assert_allclose(mean, module(image)["mean"].detach().numpy(), rtol=1e-4, atol=1e-6)


def test_the_same_bytes_every_time_and_no_traces() -> None:
    first, second = (
        serialise(export(Small(), (3, 12, 12), input_name="image", inner=["first"], outputs=["mean"])) for _ in range(2)
    )
    assert first == second
    for word in (str(Path(__file__).parent).encode(), b".py", b"pkg.torch", b"pytorch", b"forward"):
        assert word not in first


def test_a_module_that_cannot_be_exported() -> None:
    with pytest.raises(ModelError, match="torch cannot export the network"):
        export(Stubborn(), (3, 4, 4), input_name="image", inner=[], outputs=["y"])
