"""Torch modules from somebody's own file, and saved programs, become graphs."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from splitnet.errors import ModelError, SplitnetError, UsageError
from splitnet.graph.extract import serialise
from splitnet.graph.modules import load_module, short_name
from splitnet.graph.program import export_module, export_program
from splitnet.graph.split import split_network
from splitnet.runtime.onnxruntime_engine import OnnxGraph

SOURCE = """
import torch
from torch import nn
from beside import WIDTH

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, WIDTH, 3, 2, 1), nn.ReLU())
        self.blocks = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in range(2))
        self.fc = nn.Linear(WIDTH, 5)

    def features(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x).relu()
        return x.mean((2, 3))

    def forward(self, x):
        return self.fc(self.features(x))

class Several(Net):
    def forward(self, x):
        deep = self.features(x)
        return self.fc(deep), [deep.tanh(), None]

class Named(Net):
    def forward(self, x):
        deep = self.features(x)
        return {"scores": self.fc(deep), "deep": deep.tanh()}

class Unit(Net):
    def forward(self, x):
        return nn.functional.normalize(self.features(x))

class Token(Net):
    def forward(self, x):
        return self.features(x) + self.fc.weight[:1, :1].expand(x.shape[0], 8)

class Two(nn.Module):
    def forward(self, x, y):
        return x.relu() + y

class Branch(nn.Module):
    def forward(self, x):
        return x.relu() if x.sum().item() > 0 else x.tanh()

class One(nn.Module):
    def forward(self, x):
        return x.reshape(2, -1)

class Number(nn.Module):
    def forward(self, x):
        return x.relu(), 3

class Nothing(nn.Module):
    def forward(self, x):
        return None

class Holder:
    net = Net

def make(trained=True):
    return Net()

def fails():
    raise ValueError("no weights" + chr(10) + "there")

def leaves():
    raise SystemExit("usage: mynet")

ready = Net()
number = 3
"""


@pytest.fixture
def mynet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A user's file, ``mynet.py``, with a module of their own beside it."""
    (tmp_path / "mynet.py").write_text(SOURCE)
    (tmp_path / "beside.py").write_text("WIDTH = 8\n")
    monkeypatch.delitem(sys.modules, "beside", raising=False)
    return str(tmp_path / "mynet.py")


def exported(mynet: str, name: str) -> onnx.ModelProto:
    return export_module(load_module(f"{mynet}:{name}"), (3, 16, 16), name)


@pytest.mark.parametrize(
    ("name", "outputs"),
    [("make", ["output"]), ("Several", ["output0", "output1.0"]), ("Named", ["scores", "deep"])],
)
def test_outputs_however_they_are_packed(mynet: str, name: str, outputs: list[str]) -> None:
    module = load_module(f"{mynet}:{name}")
    model = export_module(module, (3, 16, 16), name)
    assert [value.name for value in model.graph.input] == ["image"]
    assert [value.name for value in model.graph.output] == outputs
    graph = OnnxGraph(serialise(model))
    for batch in (1, 3):
        image = torch.randn(batch, 3, 16, 16)
        with torch.no_grad():
            leaves = torch.utils._pytree.tree_leaves(module(image))
        expected = [leaf for leaf in leaves if leaf is not None]
        for mine, theirs in zip(graph.run({"image": image.numpy()}), expected, strict=True):
            np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-4, atol=1e-5)


def test_tensors_are_called_for_the_parts_that_they_leave(mynet: str) -> None:
    names = [name for node in exported(mynet, "make").graph.node for name in node.output]
    assert [name for name in names if name in ("stem.0", "stem", "blocks.0", "blocks.1")] == [
        "stem.0",
        "stem",
        "blocks.0",
        "blocks.1",
    ]
    assert not any("module" in name for name in names)


@pytest.mark.parametrize("name", ["Unit", "Token"])
def test_the_size_of_the_batch_is_right_wherever_it_is_asked(mynet: str, name: str) -> None:
    module = load_module(f"{mynet}:{name}")
    model = export_module(module, (3, 16, 16), name)
    onnx.checker.check_model(model)
    for batch in (1, 3):
        image = torch.randn(batch, 3, 16, 16)
        (found,) = OnnxGraph(serialise(model)).run({"image": image.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(found, module(image).numpy(), rtol=1e-4, atol=1e-5)


def test_the_size_of_the_batch_crosses_no_cut(mynet: str) -> None:
    split = split_network(exported(mynet, "Unit"), ["output"])
    assert {"stem.0", "stem", "mean"} <= {cut.tensor for cut in split.cuts}


def test_the_same_bytes_every_time_and_nothing_of_the_machine(mynet: str, tmp_path: Path) -> None:
    first, second = (serialise(exported(mynet, "make")) for _ in range(2))
    assert first == second
    for word in (str(tmp_path).encode(), b"mynet", b"pkg.torch", b"forward"):
        assert word not in first


@pytest.mark.parametrize("name", ["Net", "make", "ready", "Holder.net"])
def test_what_may_be_named(mynet: str, name: str) -> None:
    module = load_module(f"{mynet}:{name}")
    assert not module.training
    assert module.get_parameter("fc.weight").shape == (5, 8)


def test_random_weights_are_the_same_every_time_and_others_stay_random(mynet: str) -> None:
    state = torch.get_rng_state()
    first, second = (load_module(f"{mynet}:make").get_parameter("fc.weight") for _ in range(2))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(first, second)


def test_a_module_of_a_package_in_the_working_directory(
    mynet: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "package_of_nets").mkdir()
    (tmp_path / "package_of_nets" / "small.py").write_text("from torch.nn import ReLU as Net\n")
    monkeypatch.chdir(tmp_path)
    before = list(sys.path)
    assert isinstance(load_module("package_of_nets.small:Net"), torch.nn.ReLU)
    assert sys.path == before


@pytest.mark.parametrize(
    ("reference", "short"),
    [("a/b/mynet.py:make", "mynet.make"), ("package.module:Net", "module.Net"), ("net:Holder.net", "net.Holder.net")],
)
def test_short_names_hold_no_folders(reference: str, short: str) -> None:
    assert short_name(reference) == short


@pytest.mark.parametrize(
    ("reference", "kind", "message"),
    [
        ("{}:absent", UsageError, "has no 'absent'; it has: Net, Several, Named"),
        ("{}:Holder.x", UsageError, "has no 'Holder.x'; it has: net"),
        ("{}:number", UsageError, "is of type int, not a torch.nn.Module nor something that returns one"),
        ("{}:Holder", UsageError, "returned something of type Holder, not a torch.nn.Module"),
        ("{}:fails", ModelError, "fails() failed: ValueError: no weights"),
        ("{}:leaves", ModelError, "leaves() failed: SystemExit: usage: mynet"),
        ("{}:Two.forward", ModelError, "failed: TypeError"),
        ("{}:a-b", UsageError, "is not MODULE:CALLABLE, for example mynet.py:make"),
        ("absent.py:make", UsageError, "absent.py is not a file"),
        ("no_such_package_anywhere.net:make", UsageError, "there is no module 'no_such_package_anywhere.net' here"),
        ("torch.no_such_module:make", UsageError, "there is no module 'torch.no_such_module' here"),
        ("a/b:make", UsageError, "'a/b' is neither a .py file nor the name of a module"),
    ],
)
def test_names_that_lead_nowhere(mynet: str, reference: str, kind: type[SplitnetError], message: str) -> None:
    with pytest.raises(kind) as caught:
        load_module(reference.format(mynet))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_package_anywhere", "failed: ModuleNotFoundError: No module named 'no_such_package_anywhere'"),
        ("def", "failed: SyntaxError: "),
        ("raise SystemExit", "failed: SystemExit"),
    ],
)
def test_files_that_cannot_be_imported(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "broken.py").write_text(text)
    with pytest.raises(ModelError, match=r"importing .*broken\.py ") as caught:
        load_module(f"{tmp_path / 'broken.py'}:make")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Two", "missing 1 required positional argument: 'y'"),
        ("Branch", "Could not guard on data-dependent expression"),
        ("One", "its code works for one number of images alone: write x.shape[0] or -1"),
        ("Number", "it returns something of type int as 'output1', no tensor"),
        ("Nothing", "Nothing returns no tensor"),
    ],
)
def test_modules_that_cannot_be_exported(
    mynet: str, name: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ModelError) as caught:
        exported(mynet, name)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_a_saved_program_is_what_it_was(mynet: str, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    module = load_module(f"{mynet}:Named")
    shapes = ({0: torch.export.Dim("n")},)
    torch.export.save(torch.export.export(module, (torch.zeros(2, 3, 16, 16),), dynamic_shapes=shapes), path)
    model = export_program(path)
    assert [value.name for value in (*model.graph.input, *model.graph.output)] == ["image", "scores", "deep"]
    assert "blocks.0" in {name for node in model.graph.node for name in node.output}
    assert serialise(model) == serialise(export_program(path))
    assert str(tmp_path).encode() not in serialise(model)
    image = torch.randn(3, 3, 16, 16)
    with torch.no_grad():
        expected = module(image)
    for mine, theirs in zip(OnnxGraph(serialise(model)).run({"image": image.numpy()}), expected.values(), strict=True):
        np.testing.assert_allclose(mine, theirs.numpy(), rtol=1e-4, atol=1e-5)


def test_files_that_are_no_programs(mynet: str, tmp_path: Path) -> None:
    path = tmp_path / "net.pt2"
    with pytest.raises(ModelError, match=r"net\.pt2 is not a file"):
        export_program(path)
    path.write_bytes(b"no program")
    with pytest.raises(ModelError, match=r"is not a program saved by torch\.export\.save: File is not a zip file"):
        export_program(path)
    torch.save({"weights": torch.zeros(1)}, path)
    with pytest.raises(ModelError, match=r"is not a program saved by torch\.export\.save: "):
        export_program(path)
    for name, inputs, message in (
        ("Two", 2, "needs exactly one input; it has 2"),
        ("Number", 1, "returns 3"),
    ):
        images = (torch.zeros(2, 3, 4, 4),) * inputs
        torch.export.save(torch.export.export(load_module(f"{mynet}:{name}"), images), path)
        with pytest.raises(ModelError, match=message):
            export_program(path)
