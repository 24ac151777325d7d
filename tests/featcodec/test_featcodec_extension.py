"""A codec of a third party, really installed, without any change to featcodec."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "packages" / "featcodec-example"


def test_third_party_stages_from_an_installed_package(tmp_path: Path) -> None:
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    install += ["--no-build-isolation", "--no-index", "--target", str(tmp_path), str(PACKAGE)]
    built = subprocess.run(install, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr

    run = subprocess.run(
        [sys.executable, "-W", "error", str(HERE / "extension_check.py")],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == "extension works\n", run.stderr
