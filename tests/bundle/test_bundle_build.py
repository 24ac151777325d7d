"""Building: what is written, what replaces what, and what is left after a failure."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from splitnet.bundle import Bundle, Cut, Task
from splitnet.bundle.build import build_bundle
from splitnet.bundle.source import ImportOptions, SourceTask
from splitnet.bundle.verify import compare
from splitnet.errors import OutputError, UsageError, VerificationError
from splitnet.graph import split as split_module
from splitnet.runtime.onnxruntime_engine import OnnxGraph


def files(directory: Path) -> set[str]:
    return {path.relative_to(directory).as_posix() for path in directory.rglob("*") if path.is_file()}


def test_what_is_written(tiny_network: Path, tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    bundle = build_bundle(tiny_network, out, cuts=["r1", "flat"])
    assert files(out) == {
        "bundle.json",
        "whole.onnx",
        "cuts/r1.edge.onnx",
        "cuts/r1.cloud.onnx",
        "cuts/flat.edge.onnx",
        "cuts/flat.cloud.onnx",
        "heads/scores.onnx",
        "heads/vector.onnx",
    }
    assert bundle.manifest.name == "tiny"
    assert str(tmp_path) not in (out / "bundle.json").read_text()
    assert {path.name for path in out.parent.iterdir()} == {"b"}
    edge, cloud = (OnnxGraph(out / f"cuts/r1.{side}.onnx") for side in ("edge", "cloud"))
    assert [(spec.name, spec.shape) for spec in edge.inputs + edge.outputs] == [
        ("image", (None, 3, 16, 16)),
        ("r1", (None, 4, 16, 16)),
    ]
    assert [(spec.name, spec.shape) for spec in cloud.inputs + cloud.outputs] == [
        ("r1", (None, 4, 16, 16)),
        ("flat", (None, 8)),
    ]


def test_the_fingerprint_depends_on_network_and_cuts_alone(tiny_network: Path, tmp_path: Path) -> None:
    first, second, third = (
        build_bundle(tiny_network, tmp_path / name, cuts=cuts)
        for name, cuts in (("one", ["r1", "r2"]), ("two", ["r2", "r1"]), ("three", ["r1"]))
    )
    assert first.fingerprint == second.fingerprint != third.fingerprint
    assert hashlib.sha256((first.path / "bundle.json").read_bytes()).hexdigest() == first.fingerprint
    assert (first.path / "whole.onnx").read_bytes() == (second.path / "whole.onnx").read_bytes()


def test_tasks_and_input_as_described(tiny_network: Path, tmp_path: Path) -> None:
    options = ImportOptions(
        mean=(1.0, 2.0, 3.0),
        std=(64.0,),
        resize_short=20,
        tasks=(SourceTask("animal", "classification", "scores", ("cat", "dog", "emu", "fox", "gnu")),),
    )
    bundle = build_bundle(tiny_network, tmp_path / "b", cuts="all", options=options)
    assert [(task.name, task.kind, task.output) for task in bundle.manifest.tasks] == [
        ("animal", "classification", "scores"),
        ("vector", "tensor", "vector"),
    ]
    assert bundle.labels("animal") == ("cat", "dog", "emu", "fox", "gnu")
    assert bundle.manifest.image_input.mean == (1.0, 2.0, 3.0)
    assert bundle.manifest.image_input.std == (64.0, 64.0, 64.0)
    assert len(bundle.manifest.built_cuts) == 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (ImportOptions(tasks=(SourceTask("a", "poetry", "scores"),)), "unknown kind of task 'poetry'; known: class"),
        (ImportOptions(tasks=(SourceTask("a", "tensor", "nope"),)), "no output 'nope'; the network has: scores, vec"),
        (ImportOptions(tasks=(SourceTask("a", "classification", "scores", ("cat",)),)), "1 labels for an output of"),
        (ImportOptions(mean=(1.0, 2.0)), "--mean takes one value or three"),
        (ImportOptions(std=(0.0,)), "greater than 0"),
        (ImportOptions(resize_short=8), "smaller than the crop"),
        (ImportOptions(size=(8, 8)), "--size says height 8"),
    ],
)
def test_descriptions_that_do_not_fit(tiny_network: Path, tmp_path: Path, options: ImportOptions, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_bundle(tiny_network, tmp_path / "b", cuts="all", options=options)
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.onnx"}


def test_unknown_cuts_list_the_possible_ones(tiny_network: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no cut 'r9'; it has: input, c1, r1, c2, r2, pool, flat"):
        build_bundle(tiny_network, tmp_path / "b", cuts=["r1", "r9"])
    with pytest.raises(UsageError, match="name at least one cut"):
        build_bundle(tiny_network, tmp_path / "b", cuts=[])
    with pytest.raises(UsageError, match="no cut 'block99'; it has: input, stem, block0"):
        build_bundle("efficientnet-lite0", tmp_path / "b", cuts=["block99"])
    assert not (tmp_path / "b").exists()


def test_a_bundle_is_replaced(tiny_network: Path, tmp_path: Path) -> None:
    out = tmp_path / "b"
    build_bundle(tiny_network, out, cuts=["r1"])
    build_bundle(tiny_network, out, cuts=["r2"])
    assert [cut.name for cut in Bundle.load(out).manifest.built_cuts] == ["r2"]
    assert "cuts/r1.edge.onnx" not in files(out)
    assert {path.name for path in tmp_path.iterdir()} == {"b", "tiny.onnx"}


def test_an_empty_directory_is_taken(tiny_network: Path, tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    build_bundle(tiny_network, tmp_path / "b", cuts=["r1"]).verify()


def test_a_link_to_a_bundle_stays_a_link(tiny_network: Path, tmp_path: Path) -> None:
    build_bundle(tiny_network, tmp_path / "b", cuts=["r1"])
    (tmp_path / "current").symlink_to("b")
    build_bundle(tiny_network, tmp_path / "current", cuts=["r2"])
    assert (tmp_path / "current").is_symlink()
    assert [cut.name for cut in Bundle.load(tmp_path / "b").manifest.built_cuts] == ["r2"]


def test_other_things_are_never_replaced(tiny_network: Path, tmp_path: Path) -> None:
    out = tmp_path / "b"
    out.write_text("mine")
    with pytest.raises(UsageError, match="exists and is not a directory"):
        build_bundle(tiny_network, out, cuts=["r1"])
    out.unlink()
    out.mkdir()
    (out / "thesis.tex").write_text("mine")
    with pytest.raises(UsageError, match="holds something else than a whole bundle"):
        build_bundle(tiny_network, out, cuts=["r1"])
    (out / "thesis.tex").unlink()
    build_bundle(tiny_network, out, cuts=["r1"])
    (out / "cuts" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"also holds 'cuts/notes\.txt'"):
        build_bundle(tiny_network, out, cuts=["r2"])
    assert (out / "cuts" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("after", range(6))
def test_a_full_disk_leaves_the_old_bundle(
    tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    out = tmp_path / "b"
    before = build_bundle(tiny_network, out, cuts=["r1"]).fingerprint
    written = 0

    def fsync(descriptor: int) -> None:
        nonlocal written
        written += 1
        if written > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OutputError, match=r"cannot write the bundle .*: No space left on device"):
        build_bundle(tiny_network, out, cuts=["r2"])
    bundle = Bundle.load(out)
    bundle.verify()
    assert bundle.fingerprint == before
    assert {path.name for path in tmp_path.iterdir()} == {"b", "tiny.onnx"}


def test_a_failed_move_puts_the_old_bundle_back(
    tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "b"
    before = build_bundle(tiny_network, out, cuts=["r1"]).fingerprint
    rename = Path.rename

    def failing(path: Path, target: Path) -> Path:
        if path.name == "new":
            raise OSError(errno.EIO, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OutputError, match="Input/output error"):
        build_bundle(tiny_network, out, cuts=["r2"])
    monkeypatch.undo()
    assert Bundle.load(out).fingerprint == before
    assert {path.name for path in tmp_path.iterdir()} == {"b", "tiny.onnx"}


def test_a_place_that_cannot_be_made(tiny_network: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write the bundle"):
        build_bundle(tiny_network, tmp_path / "file" / "b", cuts=["r1"])


def test_a_split_that_disagrees_is_not_written(
    tiny_network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = split_module.SplitNetwork.cloud

    def skewed(self: split_module.SplitNetwork, cut: split_module.CutPoint) -> Any:
        part = cloud(self, cut)
        if cut.tensor == "r2":
            next(node for node in part.graph.node if node.op_type == "GlobalAveragePool").op_type = "GlobalMaxPool"
        return part

    monkeypatch.setattr(split_module.SplitNetwork, "cloud", skewed)
    with pytest.raises(VerificationError, match=r"cut r2: the tensor 'scores' differs .* by [0-9.e+]+ of"):
        build_bundle(tiny_network, tmp_path / "b", cuts=["r1", "r2"])
    assert {path.name for path in tmp_path.iterdir()} == {"tiny.onnx"}


def test_verification_uses_given_inputs_too(tiny_network: Path, tmp_path: Path) -> None:
    array = np.ones((2, 3, 16, 16), np.float32)
    build_bundle(tiny_network, tmp_path / "b", cuts=["r1"], arrays=[array])
    for wrong in (array[:, :, :8], array.astype(np.float64)):
        with pytest.raises(UsageError, match="cannot verify with"):
            build_bundle(tiny_network, tmp_path / "b", cuts=["r1"], arrays=[wrong])


def test_nan_is_a_difference_unless_both_have_it() -> None:
    cut = Cut(name="c", tensor="c", shape=(2,), macs_before=0, macs_after=0)
    task = Task(name="t", kind="tensor", input="s", output="y")
    whole = np.array([[1.0, np.nan]], np.float32)
    assert compare(cut, task, whole.copy(), whole, 1.0) == 0.0
    for split in (np.ones_like(whole), np.full_like(whole, np.nan)):
        with pytest.raises(VerificationError, match="cut c: the tensor 'y' differs"):
            compare(cut, task, split, whole, 1.0)
        with pytest.raises(VerificationError, match="cut c: the tensor 'y' differs"):
            compare(cut, task, whole, split, 1.0)
    with pytest.raises(VerificationError, match=r"is float32 \(1, 1\) split, float32 \(1, 2\) in the whole"):
        compare(cut, task, whole[:, :1], whole, 1.0)


def test_differences_are_shares_of_the_largest_value_of_any_input() -> None:
    cut = Cut(name="c", tensor="c", shape=(1,), macs_before=0, macs_after=0)
    task = Task(name="t", kind="tensor", input="s", output="y")
    faint = np.array([[1e-5]], np.float32)
    assert compare(cut, task, faint + np.float32(1e-7), faint, 1.0) == pytest.approx(1e-7, rel=0.01)
    with pytest.raises(VerificationError, match=r"differs from the whole network by 0\.01 of its largest value"):
        compare(cut, task, faint + np.float32(1e-7), faint, 1e-5)
    with pytest.raises(VerificationError, match="by inf of"):
        compare(cut, task, faint, np.zeros_like(faint), 0.0)


def test_progress_counts_up_to_the_end(tiny_network: Path, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    build_bundle(tiny_network, tmp_path / "b", cuts="all", progress=lambda *step: steps.append(step))
    assert [done for _, done, _ in steps] == list(range(len(steps)))
    assert steps[-1] == ("done", 10, 10)


def test_a_zoo_network_needs_no_description(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="are for imported networks"):
        build_bundle("efficientnet-lite0", tmp_path / "b", cuts="all", options=ImportOptions(size=(8, 8)))


def test_the_best_cuts_are_built_by_default_and_beside_others(tiny_network: Path, tmp_path: Path) -> None:
    best = build_bundle(tiny_network, tmp_path / "best")
    # c2, r2 and pool cost the device what flat does and send more; c1 sends what r1 does, and the later of both counts.
    assert [cut.name for cut in best.manifest.built_cuts] == ["r1", "flat"]
    more = build_bundle(tiny_network, tmp_path / "more", cuts=["c2", "best", "input"])
    assert [cut.name for cut in more.manifest.built_cuts] == ["input", "r1", "c2", "flat"]
    with pytest.raises(UsageError, match="no cut 'bset'"):
        build_bundle(tiny_network, tmp_path / "b", cuts=["best", "bset"])
