"""The command: one clear line and a documented exit code for whatever goes wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import featcodec
from featcodec.cli import main
from featcodec.testing import small_profile

FEATURES = np.linspace(-1, 1, 60, dtype=np.float32).reshape(3, 4, 5)


@pytest.fixture
def array_file(tmp_path: Path) -> Path:
    np.save(tmp_path / "in.npy", FEATURES)
    return tmp_path / "in.npy"


@pytest.fixture
def frame_file(tmp_path: Path) -> Path:
    (tmp_path / "in.fcf").write_bytes(featcodec.encode(FEATURES, "none|zlib"))
    return tmp_path / "in.fcf"


def test_encode_info_decode(array_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame, back = tmp_path / "out.fcf", tmp_path / "back.npy"
    assert main(["encode", str(array_file), str(frame), "--codec", "none|shuffle|zlib"]) == 0
    assert main(["decode", str(frame), str(back)]) == 0
    assert np.array_equal(np.load(back), FEATURES)
    capsys.readouterr()
    assert main(["info", str(frame)]) == 0
    assert "float32 [3, 4, 5]" in capsys.readouterr().out
    assert main(["info", str(frame), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["codec"], told["frame_bytes"]) == ("none|shuffle|zlib", frame.stat().st_size)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back.npy", "in.npy", "out.fcf"]


def test_stages_lists_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stages"]) == 0
    out = capsys.readouterr().out
    assert all(f"\n{stage.name} " in f"\n{out}" for stage in featcodec.list_stages())


def fails(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    """Exit code and the one line on stderr."""
    try:
        code = main([str(argument) for argument in arguments])
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    return code, error


@pytest.mark.parametrize(
    ("codec", "says"),
    [("afine", "did you mean 'affine'"), ("none|zlib:level=10", "0 to 9"), ("zlib", "there are: none")],
)
def test_wrong_codec_exits_2(
    codec: str, says: str, array_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, error = fails(capsys, "encode", array_file, tmp_path / "out.fcf", "--codec", codec)
    assert code == 2
    assert says in error


@pytest.mark.parametrize("arguments", [[], ["frob"], ["encode", "only.npy"], ["decode", "a", "b", "--max-mib", "x"]])
def test_wrong_usage_exits_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    code, error = fails(capsys, *arguments)
    assert code == 2
    assert "--help" in error


def test_unreadable_input_exits_3(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.npy"
    contents = {
        "No such file": None,
        "not a valid .npy": b"hello",
        "valid .npy file: EOF": b"",
        "valid .npy": b"\x93NUMPY\x01\x00\x10\x00{'descr': '<f4'}",
    }
    for says, content in contents.items():
        if content is not None:
            bad.write_bytes(content)
        code, error = fails(capsys, "encode", bad, tmp_path / "out.fcf")
        assert (code, says in error, str(bad) in error) == (3, True, True), error
    np.save(bad, np.array([{"a": 1}]), allow_pickle=True)
    assert fails(capsys, "encode", bad, tmp_path / "out.fcf") == (
        3,
        f"featcodec: {bad}: holds Python objects; save a numeric array instead\n",
    )
    np.save(bad, np.array([np.nan]))
    code, error = fails(capsys, "encode", bad, tmp_path / "out.fcf", "--codec", "affine")
    assert code == 3
    assert "NaN or infinity" in error
    assert not (tmp_path / "out.fcf").exists()


def test_malformed_frames_exit_4(frame_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = frame_file.read_bytes()
    for content, says in ((whole[:-7], "cut short"), (b"", "too few"), (b"\x93NUMPY", "not a featcodec frame")):
        frame_file.write_bytes(content)
        commands: list[list[str | Path]] = [["decode", frame_file, tmp_path / "out.npy"], ["info", frame_file]]
        for command in commands:
            code, error = fails(capsys, *command)
            assert code == 4
            assert says in error
    big = tmp_path / "big.fcf"
    big.write_bytes(featcodec.encode(np.zeros(2 << 20, np.uint8), "none|zlib"))
    code, error = fails(capsys, "decode", big, tmp_path / "out.npy", "--max-mib", "1")
    assert code == 4
    assert "2,097,152" in error
    assert not (tmp_path / "out.npy").exists()


def test_outputs_that_cannot_be_written_exit_5(
    array_file: Path, frame_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for target in (tmp_path / "nowhere" / "out", tmp_path, Path("/dev/full")):
        commands: list[list[str | Path]] = [["encode", array_file, target], ["decode", frame_file, target]]
        for command in commands:
            code, error = fails(capsys, *command)
            assert code == 5
            assert f"{target}: cannot be written" in error
    assert Path("/dev/full").is_char_device()


def test_a_failed_write_leaves_the_old_file(
    array_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out.fcf"
    target.write_bytes(b"old")

    def full(self: Path, to: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    assert fails(capsys, "encode", array_file, target)[0] == 5
    assert target.read_bytes() == b"old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.npy", "out.fcf"]


def test_full_standard_output_is_no_traceback() -> None:
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-m", "featcodec.cli", "stages"]
        run = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 5
    assert run.stderr == "featcodec: standard output cannot be written: No space left on device\n"


def test_a_profile_encodes_and_decodes_and_its_absence_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    profile = small_profile()
    (tmp_path / "p.safetensors").write_bytes(profile.to_bytes())
    features = np.linspace(-1, 1, int(np.prod(profile.shape)), dtype=np.float32).reshape(profile.shape)
    np.save(tmp_path / "in.npy", features)
    source, frame, back = (str(tmp_path / name) for name in ("in.npy", "out.fcf", "back.npy"))
    given = ["--profile", str(tmp_path / "p.safetensors")]
    assert main(["encode", source, frame, "--codec", "transform:step=0.01|rans", *given]) == 0
    assert main(["decode", frame, back, *given]) == 0
    assert np.abs(np.load(back) - features).max() < 0.2
    capsys.readouterr()
    (tmp_path / "cut.safetensors").write_bytes(profile.to_bytes()[:-1])
    for arguments, code, says in (
        (["encode", source, frame, "--codec", "transform|rans"], 2, "--profile"),
        (["decode", frame, back], 4, "--profile"),
        (["decode", frame, back, "--profile", str(tmp_path / "cut.safetensors")], 3, "cut.safetensors"),
        (["decode", frame, back, "--profile", str(tmp_path / "none.safetensors")], 3, "none.safetensors"),
    ):
        assert main(arguments) == code
        told = capsys.readouterr().err
        assert says in told
        assert told.count("\n") == 1
