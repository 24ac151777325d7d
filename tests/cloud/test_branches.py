"""Heads that branch at several depths of the cloud graph."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from splitnet.bundle import Bundle
from splitnet.bundle.manifest import File
from splitnet.cloud.inference import run_heads
from splitnet.cloud.model import CloudModel
from splitnet.errors import BundleError, ModelError
from splitnet.runtime.onnxruntime_engine import OnnxGraph


def _with_branch(tiny: Bundle, out: Path, kind: str = "tensor", outputs: tuple[str, ...] = ("flat", "pool")) -> Bundle:
    """The tiny network whose cloud graphs also give `pool`, from which a new head takes the doubled values."""
    import hashlib

    import onnx

    shutil.copytree(tiny.path, out)
    for cut in tiny.manifest.built_cuts:
        assert cut.cloud is not None
        graph = onnx.load(out / cut.cloud)
        wanted = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs]
        del graph.graph.output[:]
        graph.graph.output.extend(wanted)
        onnx.save(graph, out / cut.cloud)
    head = onnx.parser.parse_model("""
        <ir_version: 8, opset_import: ["" : 17]>
        head (float[N, 8, 1, 1] pool) => (float[N, 8, 1, 1] twice) { twice = Add(pool, pool) }
    """)
    onnx.save(head, out / "heads" / "twice.onnx")
    manifest = json.loads((out / "bundle.json").read_text())
    manifest["tasks"].append(
        {"name": "twice", "kind": kind, "input": "pool", "output": "twice", "head": "heads/twice.onnx", "labels": None}
    )
    paths = [*(file["path"] for file in manifest["files"]), "heads/twice.onnx"]
    data = {path: (out / path).read_bytes() for path in paths}
    manifest["files"] = [
        File(path=path, size=len(one), sha256=hashlib.sha256(one).hexdigest()).model_dump()
        for path, one in data.items()
    ]
    (out / "bundle.json").write_text(json.dumps(manifest))
    return Bundle.load(out)


def test_the_shared_part_runs_once_and_gives_only_what_is_needed(
    tiny_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = CloudModel(_with_branch(tiny_bundle, tmp_path / "b"))
    model.warm_up()
    cut = model.cut("r2")
    values = np.random.default_rng(1).standard_normal((3, *cut.shape), dtype=np.float32)
    asked: list[tuple[str, list[str]]] = []
    run = OnnxGraph.run

    def counted(self, feeds, outputs=None):  # type: ignore[no-untyped-def]
        asked.append((self.name, list(outputs)))
        return run(self, feeds, outputs)

    monkeypatch.setattr(OnnxGraph, "run", counted)
    answers, _ = run_heads(model, cut, model.wanted(()), values, False)
    assert [name for name, _ in asked] == [cut.cloud, "heads/scores.onnx", "heads/vector.onnx", "heads/twice.onnx"]
    assert asked[0][1] == ["flat", "pool"]
    outputs = {head.task.name: output for head, output in answers}
    np.testing.assert_allclose(outputs["twice"].reshape(3, 8), 2 * values.mean(axis=(2, 3)), rtol=1e-5, atol=1e-6)
    for task, expected in (("twice", ["pool"]), ("scores", ["flat"])):
        asked.clear()
        run_heads(model, cut, model.wanted([task]), values, False)
        assert asked[0][1] == expected


def test_a_cut_that_lacks_the_branch_is_a_broken_bundle(tiny_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cut r1 does not compute 'pool', which task twice begins with"):
        CloudModel(_with_branch(tiny_bundle, tmp_path / "b", outputs=("flat",)))


def test_a_kind_that_does_not_take_the_output_is_found_when_loading(tiny_bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="one value"):
        CloudModel(_with_branch(tiny_bundle, tmp_path / "b", kind="score")).warm_up()
