"""Published figures: the file format that every benchmark and the demo write.

``{"machine": {...}, "commit": "...", "command": "...", "figures": {"name": number}, "rows": [...]}``
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from splitnet.files import write_whole

_PACKAGES = ("numpy", "onnxruntime", "grpcio", "torch", "pillow", "zstandard")


def machine() -> dict[str, Any]:
    """What the figures were measured on: processor, cores, system, Python and the libraries that matter."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def commit() -> str:
    """The checkout's commit with a plus sign where the tree differs from it, or "unknown" outside a checkout."""
    here = Path(__file__).parent
    try:
        head = _git(here, "rev-parse", "--short=12", "HEAD")
        return head + ("+" if _git(here, "status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def write_results(
    path: Path, *, command: str, figures: Mapping[str, float], rows: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Write figures and the rows behind them, by way of a temporary file. Raises OutputError."""
    document = {
        "machine": machine(),
        "commit": commit(),
        "command": command,
        "figures": dict(sorted(figures.items())),
        "rows": list(rows),
    }
    write_text(path, json.dumps(document, indent=1) + "\n")
    return document


def write_text(path: Path, text: str) -> None:
    """Write a whole file or nothing. Raises OutputError."""
    write_whole(path, lambda stream: stream.write(text.encode("utf-8")), folders=True)


def _git(directory: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(directory), *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
