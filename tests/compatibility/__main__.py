"""One table: every build and coder, and whether it agrees with the extension module. Exit code 1 where one does not.

python -m tests.compatibility [short]
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from numpy._core._multiarray_umath import __cpu_dispatch__  # type: ignore[import-not-found]  # private, without stubs

from tests.compatibility.builds import BUILDS, MissingToolError, timed

# Without the instructions that numpy chooses at run time: another processor's numpy.
CODERS = {
    "numpy references": {"FEATCODEC_NATIVE": "0"},
    "extension module, numpy of an older processor": {"NPY_DISABLE_CPU_FEATURES": " ".join(__cpu_dispatch__)},
}


def corpus(what: str, out: Path, extent: str, environment: dict[str, str] | None = None) -> Path:
    """Run corpus.py in a process of its own; the file it writes."""
    command = [sys.executable, "-m", "tests.compatibility.corpus", what, str(out), extent]
    subprocess.run(
        command, env=os.environ | (environment or {}), check=True, timeout=1800, cwd=Path(__file__).parents[2]
    )
    return out


def main() -> int:
    """Print the table."""
    extent = "short" if sys.argv[1:] == ["short"] else "full"
    failed = False

    def row(name: str, result: str, seconds: float = 0.0) -> None:
        print(f"| {name} | {result} | {seconds:.0f} |", flush=True)

    print("| build or coder | result | seconds |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        expected = json.loads(corpus("digests", Path(folder) / "expected", extent).read_text())
        for name, environment in CODERS.items():
            start = time.monotonic()
            slow = "references" if extent == "full" and "FEATCODEC_NATIVE" in environment else extent
            got = json.loads(corpus("digests", Path(folder) / "got", slow, environment).read_text())
            differing = [key for key in got if got[key] != expected.get(key)]
            failed |= bool(differing)
            result = f"differs: {differing[:3]}" if differing else f"identical: {len(got):,} frames and arrays"
            row(name, result, time.monotonic() - start)
        trace = corpus("record", Path(folder) / "trace", extent)
        for build in BUILDS:
            try:
                calls, seconds = timed(build, trace)
            except MissingToolError as error:
                row(build.name, f"skipped: {error}")
            except AssertionError as error:
                failed = True
                row(build.name, f"differs: {error}")
            else:
                which = "calls" if build.calls == "all" else "decoding calls"
                row(build.name, f"identical: {calls:,} {which}", seconds)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
