"""Ray Serve on this machine: two replicas, one killed under load, every frame answered once."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed; `make ray` brings it and runs this")
@pytest.mark.timeout(400)
def test_a_killed_replica_costs_no_frame(tmp_path: Path) -> None:
    # In a process of its own: Ray keeps threads and sockets that no test should inherit.
    command = [sys.executable, "-m", "benchmarks.ray", "--short", "--out", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=380)
    assert done.returncode == 0, done.stderr[-4000:]
    figures = json.loads((tmp_path / "ray.json").read_text(encoding="utf-8"))["figures"]
    assert figures["serve.ray_frames"] == 500
    assert figures["serve.ray_unanswered"] == 0
    assert figures["serve.ray_answered_twice"] == 0
    assert figures["serve.ray_wrong_answers"] == 0
    # Nothing failed on the way: then no replica died under load, and this showed nothing.
    assert figures["serve.ray_failed_attempts"] > 0
