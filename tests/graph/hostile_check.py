"""Run by test_hostile.py in a process of its own: build from files that claim more than they hold, with little memory.

``python hostile_check.py FOLDER`` prints one JSON object: name of each file in the folder -> error class and message.
"""

from __future__ import annotations

import json
import resource
import sys
from pathlib import Path

import onnx.shape_inference  # noqa: F401 - before the limit, so that it counts what the files cost

from splitnet.bundle.build import build_bundle
from splitnet.errors import SplitnetError

SPARE = 128 << 20
"""Bytes of address space on top of what the imports took."""


def main(folder: Path) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + SPARE
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    found = {}
    for path in sorted(folder.glob("*.onnx")):
        try:
            build_bundle(path, folder / "out", cuts="all")
        except SplitnetError as error:
            found[path.stem] = [type(error).__name__, str(error)]
    print(json.dumps(found))


main(Path(sys.argv[1]))
