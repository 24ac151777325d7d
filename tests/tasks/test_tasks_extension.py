"""A kind of a third party, really installed, without any change to splitnet."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from splitnet.bundle.build import build_bundle

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "packages" / "splitnet-tasks-example"


def test_third_party_kind_from_an_installed_package(tmp_path: Path, tiny_network: Path) -> None:
    source = shutil.copytree(PACKAGE, tmp_path / "source")
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    install += ["--no-build-isolation", "--no-index", "--target", str(tmp_path / "installed"), str(source)]
    built = subprocess.run(install, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    bundle = build_bundle(tiny_network, tmp_path / "bundle", cuts=["r2"])
    manifest = json.loads((bundle.path / "bundle.json").read_text())
    manifest["tasks"][0] |= {"name": "ends", "kind": "extremes", "parameters": {"count": 2}}
    (bundle.path / "bundle.json").write_text(json.dumps(manifest))
    run = subprocess.run(
        [sys.executable, "-W", "error", str(HERE / "extension_check.py"), str(bundle.path)],
        env={**os.environ, "PYTHONPATH": str(tmp_path / "installed")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == "extension works\n", run.stderr
