"""Peak memory of decoding hostile frames, measured by the kernel in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from featcodec.testing import bombs
from featcodec.testing.hostile import forgeries

MIB = 1 << 20
OWN = 32  # MiB that `Limits` grants the libraries


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("hostile")
    for index, (_, frame) in enumerate([*forgeries(), *bombs()]):
        (target / f"{index:04}").write_bytes(frame)
    return target


def decode_all(folder: Path, decoded_mib: int, growth_mib: int) -> tuple[int, int, int]:
    script = Path(__file__).with_name("memory_check.py")
    command = [sys.executable, str(script), str(folder), str(decoded_mib), str(growth_mib)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    decoded, refused, grown = map(int, run.stdout.split())
    return decoded, refused, grown


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and sets RLIMIT_AS")
def test_limits_that_forbid_64_mib_cost_next_to_nothing(folder: Path) -> None:
    decoded, refused, grown = decode_all(folder, 1, 4 + OWN)
    assert decoded == 0
    assert refused > 90
    assert grown <= OWN * MIB


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and sets RLIMIT_AS")
def test_limits_that_allow_64_mib_hold_the_documented_peak(folder: Path) -> None:
    decoded, _, grown = decode_all(folder, 64, 4 * 64 + OWN)
    assert decoded == 7, "each byte coder's 64 MiB of zeros"
    assert grown <= (2 * 64 + OWN) * MIB
