"""What `pip install splitnet[edge]` takes on a device's disk, in a new environment, distribution by distribution."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.progress import Progress

from benchmarks.harness import Measured, main
from splitnet.errors import UsageError

ROOT = Path(__file__).parents[1]
BEFORE = ("numpy", "onnxruntime")
"""What runs a network in any case; the bar is about what comes on top of it."""
NOT_OURS = ("pip", "setuptools", "wheel")
_SIZES = """
import json
from importlib.metadata import distributions
sizes = {}
for one in distributions():
    files = {path.locate().resolve() for path in one.files or ()}
    sizes[one.metadata["Name"].lower()] = sum(path.stat().st_size for path in files if path.is_file())
print(json.dumps(sizes))
"""


def measure(short: bool) -> Measured:
    """Megabytes (10^6 bytes) of installed files, compiled bytecode among them. Raises UsageError where pip fails."""
    with TemporaryDirectory() as folder, Progress(transient=True) as bar:
        bar.add_task("install splitnet[edge]", total=None)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        python = str(Path(folder) / "bin" / "python")
        command = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", f"{ROOT}[edge]"]
        done = subprocess.run(
            [*command, "-c", str(ROOT / "constraints.txt")], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise UsageError(f"pip failed: {done.stderr.strip().splitlines()[-1:]}")
        sizes = json.loads(subprocess.run([python, "-c", _SIZES], check=True, capture_output=True, text=True).stdout)
    return figures_of(sizes)


def figures_of(sizes: dict[str, int]) -> Measured:
    """The figure and the table, of bytes by distribution. Raises UsageError where torch came along."""
    if "torch" in sizes:
        raise UsageError("splitnet[edge] brought torch along")
    ours = {name: size / 1e6 for name, size in sizes.items() if name not in NOT_OURS}
    rows: list[dict[str, Any]] = [
        {"distribution": name, "mb": size, "counts": name not in BEFORE}
        for name, size in sorted(ours.items(), key=lambda one: -one[1])
    ]
    return Measured(
        {
            "edge.installed_mb": sum(size for name, size in ours.items() if name not in BEFORE),
            "edge.installed_with_runtime_mb": sum(ours.values()),
        },
        rows,
    )


if __name__ == "__main__":
    main("installed", measure)
