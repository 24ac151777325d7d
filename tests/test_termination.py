"""SIGTERM leaves nothing half-written and no process behind."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from splitnet.bundle import Bundle
from splitnet.bundle.write import Staging
from splitnet.cli.exit_codes import ExitCode
from splitnet.termination import TERMINATED, on_termination


def test_a_terminated_build_leaves_nothing(lite0_bundle: Bundle, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "splitnet", "build", str(lite0_bundle.path / "whole.onnx")]
    process = subprocess.Popen([*command, "--cuts", "all", "--out", str(tmp_path / "b")], stdout=subprocess.DEVNULL)
    while not list(tmp_path.iterdir()):
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == ExitCode.TERMINATED == TERMINATED
    assert list(tmp_path.iterdir()) == []


def test_an_old_bundle_comes_back_from_between_the_renames(lite0_bundle: Bundle, tmp_path: Path) -> None:
    target = tmp_path / "bundle"
    with Staging(target) as staging:
        (staging._work / "old").mkdir()
        (staging._work / "old" / "mark").touch()
        staging._abandon()
    assert [path.name for path in target.iterdir()] == ["mark"]
    assert list(tmp_path.iterdir()) == [target]


def test_cleanups_run_last_first_and_one_that_fails_stops_no_other() -> None:
    code = (
        "import os, signal; from splitnet.termination import on_termination, terminate\n"
        "signal.signal(signal.SIGTERM, terminate)\n"
        "with on_termination(lambda: print('first', flush=True)), on_termination(lambda: 1 / 0):\n"
        "    with on_termination(lambda: print('last', flush=True)):\n"
        "        os.kill(os.getpid(), signal.SIGTERM)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split()) == (TERMINATED, ["last", "first"])


def test_a_block_that_ends_is_forgotten() -> None:
    from splitnet import termination

    with pytest.raises(ValueError, match="x"), on_termination(print):
        raise ValueError("x")
    assert termination._pending == []
