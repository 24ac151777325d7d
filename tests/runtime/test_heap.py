"""Threads of a server allocate from one heap."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, sys, threading
from splitnet.runtime.heap import share_heap

if sys.argv[1] == "shared":
    share_heap()
malloc = ctypes.CDLL(None).malloc
malloc.restype = ctypes.c_void_p
places = []
for _ in range(4):
    # Larger than what a thread keeps from its own start.
    thread = threading.Thread(target=lambda: places.append(malloc(5000)))
    thread.start()
    thread.join()
heap = next(line for line in open("/proc/self/maps") if line.endswith("[heap]\\n")).split()[0]
first, last = (int(end, 16) for end in heap.split("-"))
print(sum(first <= place < last for place in places))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="heaps of threads are glibc's")
@pytest.mark.parametrize(("how", "inside"), [("shared", "4"), ("as it is", "0")])
def test_where_threads_allocate(how: str, inside: str) -> None:
    command = [sys.executable, "-c", PROGRAM, how]
    environment = {name: value for name, value in os.environ.items() if name != "MALLOC_ARENA_MAX"}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == inside
