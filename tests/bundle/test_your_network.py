"""The commands of docs/your-network.md, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from splitnet.bundle import Bundle
from splitnet.bundle.build import build_bundle
from splitnet.bundle.source import ImportOptions, SourceTask

PAGE = Path(__file__).parents[2] / "docs" / "your-network.md"


@pytest.mark.timeout(600)
def test_every_command_runs(tmp_path: Path) -> None:
    blocks = re.findall(r"^```\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euxo", "pipefail", "-c", "".join(blocks)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    # Another process, with other hashes and memory: the same bundle.
    labels = SourceTask("animal", "classification", "scores", ("cat", "dog", "emu"))
    options = ImportOptions(size=(96, 96), mean=(127.5,), std=(127.5,), tasks=(labels,))
    again = build_bundle(f"{tmp_path}/mynet.py:make", tmp_path / "again", cuts="all", options=options)
    assert again.fingerprint == Bundle.load(tmp_path / "mynet").fingerprint
    found = {path.parent.name for path in tmp_path.glob("*/bundle.json")}
    assert found == {"mynet", "net", "twins", "aged", "sound", "again"}
