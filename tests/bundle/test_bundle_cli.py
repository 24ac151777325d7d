"""`splitnet build` and `splitnet inspect` at the command line."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
import typer
from typer.testing import CliRunner, Result

from splitnet.bundle import Bundle
from splitnet.bundle.source import SourceHead
from splitnet.cli.build import _head, build
from splitnet.cli.inspect import inspect
from splitnet.errors import BundleError, UsageError

app = typer.Typer()
app.command()(build)
app.command()(inspect)


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_build_and_inspect(tiny_network: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_text("cat\ndog\nemu\nfox\ngnu\n")
    out = tmp_path / "b"
    result = run(
        "build", tiny_network, "--cuts", "r1, flat", "--out", out, "--mean", "1,2,3", "--std", "64", "--size", "16x16",
        "--resize-short", "20", "--task", "animal=classification:scores", "--labels", labels,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    bundle = Bundle.load(out)
    assert f"fingerprint {bundle.fingerprint}" in result.stdout
    assert "2 of 6 possible cuts: r1, flat" in result.stdout
    assert bundle.labels("animal")[4] == "gnu"
    shown = run("inspect", out).stdout
    assert bundle.fingerprint in shown
    assert "mean 1,2,3, std 64" in shown
    assert "task animal: classification of scores, 5 labels" in shown
    rows = [line.split() for line in shown.splitlines()]
    assert ["r1", "yes", "4x16x16", "1,024", "4,096", "0.0", "0.0"] in rows
    # c1 never pays, r1 has the same size behind its activation; r2 costs what pool costs and is larger.
    assert [row[0] for row in rows if row and row[0] in ("c1", "r1", "c2", "r2", "pool", "flat")] == ["r1", "flat"]
    assert "4 more with --all" in shown
    assert "c2" in run("inspect", out, "--all").stdout


def test_inspect_as_json(tiny_network: Path, tmp_path: Path) -> None:
    run("build", tiny_network, "--cuts", "r1", "--out", tmp_path / "b")
    report = json.loads(run("inspect", tmp_path / "b", "--json").stdout)
    assert report["fingerprint"] == Bundle.load(tmp_path / "b").fingerprint
    assert [(cut["name"], cut["built"], cut["dominated"]) for cut in report["cuts"]] == [
        ("c1", False, True),
        ("r1", True, False),
        ("c2", False, True),
        ("r2", False, True),
        ("pool", False, True),
        ("flat", False, False),
    ]
    assert report["cuts"][1]["float_bytes"] == 4096
    assert report["input"]["height"] == 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--size", "16"], "--size '16' is not HEIGHTxWIDTH"),
        (["--size", "0x16"], "--size '0x16' is not HEIGHTxWIDTH"),
        (["--mean", "a"], "--mean 'a' is not a number"),
        (["--std", "1,2"], "--std takes one value or three"),
        (["--task", "scores"], "--task 'scores' is not NAME=KIND:OUTPUT"),
        (["--task", "a/b=tensor:scores"], "is not NAME=KIND:OUTPUT"),
        (["--head", "age=age.onnx"], "--head 'age=age.onnx' is not NAME=FILE.onnx@TENSOR"),
        (["--head", "a/b=age.onnx@flat"], "is not NAME=FILE.onnx@TENSOR"),
        (["--head", "age=@flat:score"], "is not NAME=FILE.onnx@TENSOR"),
        (["--labels", "absent.txt"], r"cannot read the labels absent\.txt"),
        (["--labels", __file__], "--labels needs a task that it describes"),
    ],
)
def test_options_that_cannot_be_used(tiny_network: Path, tmp_path: Path, options: list[str], message: str) -> None:
    result = run("build", tiny_network, "--cuts", "r1", "--out", tmp_path / "b", *options)
    assert isinstance(result.exception, UsageError)
    with pytest.raises(UsageError, match=message):
        raise result.exception


@pytest.mark.parametrize(
    ("text", "head"),
    [
        ("age=a.onnx@flat", SourceHead("age", Path("a.onnx"), "flat", "tensor")),
        ("age=a.onnx@flat:score", SourceHead("age", Path("a.onnx"), "flat", "score")),
        ("age=me@home/a.onnx@conv:0", SourceHead("age", Path("me@home/a.onnx"), "conv:0", "tensor")),
        ("age=a.onnx@conv:0:embedding", SourceHead("age", Path("a.onnx"), "conv:0", "embedding")),
    ],
)
def test_heads_as_they_are_written(text: str, head: SourceHead) -> None:
    assert _head(text) == head


def test_a_head_from_the_command_line(tiny_network: Path, tmp_path: Path) -> None:
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> h (float[N, 8] x) => (float[N, 8] y) { y = Sigmoid(x) }'
    )
    (tmp_path / "age.onnx").write_bytes(model.SerializeToString())
    head = f"age={tmp_path / 'age.onnx'}@flat"
    result = run("build", tiny_network, tiny_network, "--cuts", "r1", "--out", tmp_path / "b", "--head", head)
    assert result.exit_code == 0, result.output
    assert "tasks scores, vector, age" in result.stdout


def test_inspecting_an_altered_bundle(tiny_network: Path, tmp_path: Path) -> None:
    out = tmp_path / "b"
    run("build", tiny_network, "--cuts", "r1", "--out", out)
    data = (out / "whole.onnx").read_bytes()
    (out / "whole.onnx").write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert isinstance(run("inspect", out).exception, BundleError)


def test_inspect_lite0(lite0_bundle: Bundle) -> None:
    rows = [line.split() for line in run("inspect", lite0_bundle.path).stdout.splitlines()]
    assert ["block7", "yes", "80x14x14", "15,680", "62,720", "157.3", "227.9"] in rows


def test_files_that_are_not_networks(tmp_path: Path) -> None:
    result = run("build", tmp_path / "absent.onnx", "--cuts", "all", "--out", tmp_path / "b")
    assert "absent.onnx is not a file" in str(result.exception)
    result = run("build", "resnet", "--cuts", "all", "--out", tmp_path / "b")
    assert "no network is called 'resnet'" in str(result.exception)
