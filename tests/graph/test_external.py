"""Weights in other files: read from beside the model, and from nowhere else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from splitnet.bundle.build import build_bundle
from splitnet.errors import ModelError
from splitnet.graph.load import load_onnx, read_onnx
from splitnet.graph.stored import MAX_BYTES

Entries = dict[str, str]


@pytest.fixture
def outside(tiny_network: Path, tmp_path: Path) -> Path:
    """The tiny network with its weights in ``weights/w.bin`` beside it, in a folder of its own."""
    folder = tmp_path / "model"
    (folder / "weights").mkdir(parents=True)
    path = folder / "net.onnx"
    model = onnx.load(tiny_network)
    onnx.save_model(model, path, save_as_external_data=True, location="weights/w.bin", size_threshold=0)
    return path


def rewrite(path: Path, change: Callable[[Entries, onnx.TensorProto], None]) -> None:
    """Let `change` edit where the first weights are said to lie."""
    model = onnx.load(path, load_external_data=False)
    tensor = model.graph.initializer[0]
    entries = {entry.key: entry.value for entry in tensor.external_data}
    change(entries, tensor)
    del tensor.external_data[:]
    tensor.external_data.extend(onnx.StringStringEntryProto(key=key, value=value) for key, value in entries.items())
    path.write_bytes(model.SerializeToString())


def test_the_network_is_the_same_as_with_weights_inside(outside: Path, tiny_network: Path, tmp_path: Path) -> None:
    whole = load_onnx(tiny_network)
    loaded = load_onnx(outside)
    for mine, theirs in zip(loaded.graph.initializer, whole.graph.initializer, strict=True):
        assert (mine.raw_data, mine.dims, len(mine.external_data)) == (theirs.raw_data, theirs.dims, 0)
    one, other = (build_bundle(path, tmp_path / path.stem, cuts=["r1"]) for path in (outside, tiny_network))
    assert (one.path / "whole.onnx").read_bytes() == (other.path / "whole.onnx").read_bytes()
    assert one.manifest.source == f"net.onnx sha256:{read_onnx(outside).sha256}"


def test_other_weights_are_another_version(outside: Path) -> None:
    before = read_onnx(outside).sha256
    data = outside.parent / "weights" / "w.bin"
    content = bytearray(data.read_bytes())
    content[0] ^= 1
    data.write_bytes(content)
    assert read_onnx(outside).sha256 != before


def test_links_that_stay_inside_are_followed(outside: Path) -> None:
    data = outside.parent / "weights" / "w.bin"
    data.rename(outside.parent / "blob")
    data.symlink_to("../blob")
    load_onnx(outside)


def located(text: str) -> Callable[[Entries, onnx.TensorProto], None]:
    return lambda entries, _: entries.update(location=text)


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("../secret", "lie in '../secret', outside the model's folder"),
        ("weights/../../secret", "outside the model's folder"),
        ("weights/../weights/w.bin", "outside the model's folder"),
        ("/etc/hostname", "lie in '/etc/hostname', outside the model's folder"),
        ("..\\secret", "outside the model's folder"),
        ("", "lie in '', which is no file name"),
        ("w\0", "which is no file name"),
        ("absent", "lie in 'absent', which is missing: copy it beside the model"),
        ("weights", "lie in 'weights', which is not a plain file"),
        ("pipe", "which is not a plain file"),
        ("link", "a link that leaves the model's folder"),
        ("folder/secret", "a link that leaves the model's folder"),
        ("circle", "which cannot be read"),
        ("net.onnx/w", "which cannot be read: Not a directory"),
        ("x" * 5000, "which cannot be read: File name too long"),
    ],
)
def test_paths_that_lead_elsewhere(outside: Path, location: str, message: str) -> None:
    folder = outside.parent
    (folder.parent / "secret").write_bytes(b"0" * 10_000)
    (folder / "link").symlink_to("../secret")
    (folder / "folder").symlink_to("..")
    (folder / "circle").symlink_to("circle")
    os.mkfifo(folder / "pipe")
    rewrite(outside, located(location))
    with pytest.raises(ModelError, match=r"net\.onnx: the weights 'w1'") as caught:
        load_onnx(outside)
    assert message in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"offset": "-1"}, "the impossible offset '-1'"),
        ({"offset": "1e3"}, "the impossible offset '1e3'"),
        ({"offset": "9" * 50}, "the impossible offset"),
        ({"offset": "100000000000"}, "up to byte 100000000432, but it has"),
        ({"length": "431"}, r"of shape \[4, 3, 3, 3\] need 432 bytes, but the model says that 431 lie"),
        ({"length": ""}, "the impossible length ''"),
    ],
)
def test_places_that_cannot_be(outside: Path, entries: Entries, message: str) -> None:
    rewrite(outside, lambda known, _: known.update(entries))
    with pytest.raises(ModelError, match=message):
        load_onnx(outside)


def test_a_file_of_weights_cut_short(outside: Path) -> None:
    data = outside.parent / "weights" / "w.bin"
    os.truncate(data, data.stat().st_size - 1)
    with pytest.raises(ModelError, match=r"the weights 'w3' lie in .* up to byte \d+, but it has \d+: it is cut short"):
        load_onnx(outside)


def test_nothing_is_read_for_a_claim_that_the_file_does_not_hold(outside: Path) -> None:
    def claim(entries: Entries, tensor: onnx.TensorProto) -> None:
        tensor.dims[:] = [(MAX_BYTES - 10_000) // 4]
        entries["length"] = str((MAX_BYTES - 10_000) // 4 * 4)

    rewrite(outside, claim)
    with pytest.raises(ModelError, match=r"but it has \d+: it is cut short"):
        load_onnx(outside)
    rewrite(outside, lambda entries, tensor: tensor.dims.append(2))
    with pytest.raises(ModelError, match="its weights claim more than the 2 GiB that a network may have"):
        load_onnx(outside)


def test_strings_stay_inside(outside: Path) -> None:
    rewrite(outside, lambda _, tensor: setattr(tensor, "data_type", onnx.TensorProto.STRING))
    with pytest.raises(ModelError, match="'w1' are strings, which cannot lie in another file"):
        load_onnx(outside)


def test_weights_of_constants_in_branches_are_found(tmp_path: Path) -> None:
    values = onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(onnx.TensorProto(data_type=1, dims=[0])), "v")
    values.dims[:] = [4]
    values.data_location = onnx.TensorProto.EXTERNAL
    values.ClearField("raw_data")
    values.external_data.append(onnx.StringStringEntryProto(key="location", value="v.bin"))
    branch = onnx.helper.make_graph(
        [onnx.helper.make_node("Constant", [], ["r"], value=values)],
        "branch",
        [],
        [onnx.helper.make_tensor_value_info("r", onnx.TensorProto.FLOAT, [4])],
    )
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[N, 3, 4, 4] x) => (float[N, 3, 4, 4] y)'
        " <bool k = {1}> { y = Add(x, z) }"
    )
    model.graph.node.insert(0, onnx.helper.make_node("If", ["k"], ["z"], then_branch=branch, else_branch=branch))
    (tmp_path / "net.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"lie in 'v\.bin', which is missing"):
        load_onnx(tmp_path / "net.onnx")
    (tmp_path / "v.bin").write_bytes(bytes(16))
    loaded = load_onnx(tmp_path / "net.onnx")
    assert loaded.graph.node[0].attribute[0].g.node[0].attribute[0].t.raw_data == bytes(16)
