"""Run by test_featcodec_memory.py: decode files under a hard limit on address space, print the peak growth.

Arguments: folder of frames, MiB that decoded arrays may have, MiB that the process may grow by.
"""

from __future__ import annotations

import resource
import sys
from importlib import import_module
from pathlib import Path

import numpy as np

import featcodec
from featcodec.testing import stage_specs

MIB = 1 << 20


def status(field: str) -> int:
    """A field of /proc/self/status in bytes."""
    text = Path("/proc/self/status").read_text()
    return int(text.partition(f"{field}:")[2].split()[0]) * 1024


folder, decoded, growth = Path(sys.argv[1]), int(sys.argv[2]) * MIB, int(sys.argv[3]) * MIB
limits = featcodec.Limits(decoded_bytes=decoded, elements=decoded)
import_module("featcodec.quantisers.laplace")
for spec in stage_specs().values():  # whatever is imported and cached on first use
    featcodec.decode(featcodec.encode(np.arange(1000, dtype=np.float32), spec))

frames = sorted(folder.iterdir())
largest = max(path.stat().st_size for path in frames)
before = status("VmHWM")
ceiling = status("VmSize") + largest + growth
resource.setrlimit(resource.RLIMIT_AS, (ceiling, ceiling))
counted = {"decoded": 0, "refused": 0}
for path in frames:
    try:
        arrays = featcodec.decode_many(path.read_bytes(), limits=limits)
    except featcodec.FeatcodecError as error:
        if isinstance(error.__cause__, MemoryError):
            sys.exit(f"{path}: {error}")
        counted["refused"] += 1
    else:
        counted["decoded"] += 1
        del arrays
print(counted["decoded"], counted["refused"], max(0, status("VmHWM") - before - largest))
