"""The device with inputs that are no images: arrays, ``.npy`` files, hostile ones."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import featcodec
from splitnet.bundle import Bundle, add_transform
from splitnet.bundle.build import build_bundle
from splitnet.bundle.manifest import TensorInput
from splitnet.bundle.source import ImportOptions, SourceTask
from splitnet.cloud import InferenceService
from splitnet.cloud.server import Server
from splitnet.edge import AsyncEdge, Edge
from splitnet.edge.encoder import EdgeEncoder
from splitnet.edge.run import run
from splitnet.edge.sources import photos
from splitnet.errors import InvalidRequestError, SampleError, UsageError
from splitnet.models.samples import load_sample
from splitnet.runtime.onnxruntime_engine import OnnxGraph
from splitnet.tasks import Classification
from splitnet.wire.exchange import InferenceRequest

SPEC = TensorInput(tensor="x", shape=(2, 3, 4))


def values(shape: tuple[int, ...] = SPEC.shape) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def claiming(shape: str = "(2, 3, 4)", descr: str = "'<f4'", data: bytes = bytes(96), version: int = 1) -> bytes:
    """A file whose header says what one likes."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes((version, 0)) + length + header + data


@pytest.fixture(scope="module")
def bundle(sound_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    options = ImportOptions(tasks=(SourceTask("words", "classification", "scores"),))
    place = tmp_path_factory.mktemp("samples") / "bundle"
    return build_bundle(sound_file, place, cuts=["input", "r1", "flat"], options=options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", np.random.default_rng(number).standard_normal((1, 40, 101), np.float32))
    (tmp_path / "photo.jpg").write_bytes(b"no sound")
    return tmp_path


@pytest.mark.parametrize(
    "array",
    [
        values(),
        values()[None],
        values().astype(">f4"),
        np.asfortranarray(values()),
        np.repeat(values(), 2, axis=1)[:, ::2],
    ],
    ids=["plain", "batch", "big-endian", "fortran", "strided"],
)
def test_arrays_and_files_are_the_same_values(array: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "one.npy"
    path.write_bytes(npy(array))
    for sample in (array, npy(array), path, str(path)):
        found = load_sample(sample, SPEC)
        assert found.dtype == np.dtype("=f4")
        assert found.flags.c_contiguous
        np.testing.assert_array_equal(found, values()[None])


def test_a_fortran_file_and_later_versions() -> None:
    data = np.asfortranarray(values())
    assert b"'fortran_order': True" in npy(data)
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, values(), version=(2, 0))
    np.testing.assert_array_equal(load_sample(buffer.getvalue(), SPEC)[0], values())


HOSTILE = {
    "empty": (b"", "not a .npy file"),
    "photo": (b"\xff\xd8\xff\xe0" * 99, "not a .npy file"),
    "version": (claiming(version=3), "version 3.0 of .npy"),
    "huge": (claiming("(1 << 40, 1 << 40)".replace("1 << 40", str(1 << 40))), "holds float32 (1099511627776, 10"),
    "endless": (claiming("(0x" + "f" * 9000 + ",)"), "of an impossible shape"),
    "negative": (claiming("(-2, 3, 4)"), "of an impossible shape"),
    "float64": (claiming(descr="'<f8'", data=bytes(192)), "holds float64 (2, 3, 4): give float32 (2, 3, 4) or (1, 2,"),
    "float16": (claiming(descr="'<f2'", data=bytes(48)), "holds float16"),
    "int32": (claiming(descr="'<i4'"), "holds int32"),
    "object": (claiming(descr="'|O'"), "holds object"),
    "record": (claiming(descr="[('a', '<f4')]"), "holds [('a', '<f4')]"),
    "cut-short": (claiming(data=bytes(95)), "95 bytes of values instead of 96; write it with numpy.save"),
    "more": (claiming(data=bytes(97)), "97 bytes of values instead of 96"),
    "header-cut": (claiming()[:30], "its .npy header cannot be read"),
    "header-long": (b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + b"{" * 99, "its .npy header cannot be read"),
    "header-code": (claiming("__import__('os').abort()"), "its .npy header cannot be read"),
    "header-deep": (claiming("(" * 5000 + ")" * 5000), "its .npy header cannot be read"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_one_line(name: str, tmp_path: Path) -> None:
    data, message = HOSTILE[name]
    path = tmp_path / "x.npy"
    path.write_bytes(data)
    for sample, called in ((data, "the bytes"), (path, str(path))):
        with pytest.raises(SampleError) as caught:
            load_sample(sample, SPEC)
        text = str(caught.value)
        assert text.startswith(called)
        assert message in text
        assert "\n" not in text
        assert len(text) < 300 + len(called)


def test_a_pickled_object_is_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    trap = np.empty(1, object)
    trap[0] = Trap()
    np.save(tmp_path / "trap.npy", trap, allow_pickle=True)
    with pytest.raises(SampleError, match=r"holds object \(1,\)"):
        load_sample(tmp_path / "trap.npy", SPEC)
    assert not (tmp_path / "sprung").exists()


def test_what_is_no_array(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for sample, message in (
        (tmp_path, "not a file"),
        (tmp_path / "pipe", "not a file"),
        ("absent.npy", "absent.npy: no such file"),
        ([1.0], "a list is no input: give float32"),
        (values().astype(np.float64), r"the array holds float64 \(2, 3, 4\): give float32"),
        (values((2, 2, 3, 4)), r"the array holds float32 \(2, 2, 3, 4\)"),
    ):
        with pytest.raises(SampleError, match=message):
            load_sample(sample, SPEC)


async def test_served_over_a_real_socket(bundle: Bundle, folder: Path) -> None:
    paths = list(photos([str(folder)], kind="tensor"))
    assert [path.name for path in paths] == ["0.npy", "1.npy", "2.npy"]
    async with Server(InferenceService([bundle])) as server:
        for cut in ("r1", "input"):
            async with AsyncEdge(bundle, server.address, cut=cut, codec="none|shuffle|zstd") as edge:
                await edge.connect()
                for path in paths:
                    answer = await edge.infer(path, outputs=True)
                    (whole,) = OnnxGraph(bundle.path / "whole.onnx").run({"spectrogram": np.load(path)[None]})
                    np.testing.assert_allclose(answer.outputs["words"], whole[0], rtol=1e-4, atol=1e-5)
                    assert isinstance(answer.results["words"], Classification)
        async with AsyncEdge(bundle, server.address) as edge:
            outcomes = [one async for one in run(edge, [*paths, folder / "photo.jpg"])]
    failed = [one for one in outcomes if one.inference is None]
    assert [(one.path.name, type(one.error)) for one in failed] == [("photo.jpg", SampleError)]


def test_both_halves_in_one_process(bundle: Bundle, folder: Path) -> None:
    path = folder / "0.npy"
    with Edge(bundle, cut="r1") as edge:
        found = [edge.infer(one).results["words"] for one in (path, str(path), path.read_bytes(), np.load(path))]
        assert all(one == found[0] for one in found)
        with pytest.raises(SampleError, match=r"holds float64 .*: give float32 \(1, 40, 101\)"):
            edge.infer(np.zeros((1, 40, 101)))
        with pytest.raises(SampleError, match=r"codec affine.* cannot take the features of cut r1"):
            edge.infer(np.full((1, 40, 101), np.nan, np.float32))


def test_a_calibrated_cut(
    bundle: Bundle, folder: Path, tmp_path: Path, profile_for: Callable[..., featcodec.TransformProfile]
) -> None:
    profile = profile_for(bundle, "r1", (5, 17)).to_bytes()
    calibrated = add_transform(bundle, "r1", profile, step=1.0, out=tmp_path / "calibrated")
    with Edge(calibrated, cut="r1") as edge:
        assert edge.encoder.codec.startswith("transform")
        assert edge.infer(folder / "0.npy").results
        with pytest.raises(SampleError, match="cut r1: they are not finite"):
            edge.infer(np.full((1, 40, 101), np.inf, np.float32))


def test_image_files_are_for_images(bundle: Bundle) -> None:
    with pytest.raises(
        UsageError, match=r"codec 'png' is for photos; sound takes float32 \(1, 40, 101\): none\|shuffle"
    ):
        EdgeEncoder(bundle, "input", "png")
    service = InferenceService([bundle])
    png = b"\x89PNG\r\n\x1a\n" + bytes(99)
    request = InferenceRequest(bundle.manifest.name, bundle.fingerprint, "input", png)
    with pytest.raises(InvalidRequestError, match="malformed frame: "):
        service.infer(request)
    nan = featcodec.encode(np.full((1, 1, 40, 101), np.nan, np.float32), "none|raw")
    with pytest.raises(InvalidRequestError, match="NaN"):
        service.infer(InferenceRequest(bundle.manifest.name, bundle.fingerprint, "input", nan))


def test_a_folder_without_arrays_names_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"--source .* holds no \.npy files, which the network of this bundle takes"):
        list(photos([str(tmp_path)], kind="tensor"))
