"""Network namespaces that bear their owner's name, and code that runs inside one."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import TypeVar

from splitnet.errors import UsageError

T = TypeVar("T")

MOUNTED = Path("/run/netns")
_PREFIX = "splitnet"
_CLONE_NEWNET = 0x40000000
_numbers = count()


def lacking() -> str:
    """Why no link can be made here, in one line; empty where one can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    for program, package in (("ip", "iproute2"), ("xargs", "findutils")):
        if shutil.which(program) is None:
            return f"{program} is missing: apt-get install -y {package}"
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        return "/dev/net/tun cannot be opened"
    tried = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)
    return f"no network namespaces: {tried.stderr.strip()}" if tried.returncode else ""


def new_names() -> tuple[str, str]:
    """Names for a client's and a server's namespace that no other link has, not even one of another process."""
    stem = f"{_PREFIX}-{os.getpid()}-{_started(os.getpid())}-{next(_numbers)}"
    return f"{stem}-client", f"{stem}-server"


def names_of(pid: int) -> list[str]:
    """Namespaces that a process owns or, if it is dead, has left behind."""
    return [name for name in _names() if name.split("-")[1] == str(pid)]


def sweep() -> list[str]:
    """Remove what processes that are dead have left behind, and return their names."""
    left = [name for name in _names() if _started(int(name.split("-")[1])) != name.split("-")[2]]
    for name in left:
        remove(name)
    return left


def remove(name: str) -> None:
    """Kill what runs in a namespace and delete it; one that is gone already is fine."""
    listed = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False)
    for pid in listed.stdout.split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def ip(*lines: str, namespace: str | None = None) -> None:
    """Run commands of ip in order, in a namespace or here. Raises UsageError with its first complaint."""
    where = () if namespace is None else ("-n", namespace)
    text = "".join(f"{line}\n" for line in lines)
    done = subprocess.run(["ip", *where, "-batch", "-"], input=text, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UsageError(f"ip: {(done.stderr.strip().splitlines() or ['failed without a word'])[0]}")


def set_sysctls(name: str, values: Mapping[str, str]) -> None:
    """Set a namespace's own sysctls, by their paths below /proc/sys. Raises UsageError for one that cannot be."""

    def write() -> None:
        for path, value in values.items():
            try:
                (Path("/proc/sys") / path).write_text(value, encoding="ascii")
            except OSError as error:
                raise UsageError(f"{path} cannot be {value} in a namespace: {error.strerror}") from error

    inside(name, write)


def inside(name: str, call: Callable[[], T]) -> T:
    """Call something with a namespace's view of the network: sockets made there stay there.

    A thread of its own does it, because a thread that has joined a namespace should not come back to other work.
    Raises UsageError where the namespace is gone, and what the call raises.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            _join(name)
            results.append(call())
        except BaseException as error:  # noqa: BLE001 - raised again, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=work, name=f"inside {name}")
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _join(name: str) -> None:
    try:
        descriptor = os.open(MOUNTED / name, os.O_RDONLY)
    except OSError as error:
        raise UsageError(f"there is no network namespace {name}: {error.strerror}") from error
    try:
        if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET):
            raise UsageError(f"network namespace {name} cannot be joined: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(descriptor)


def _names() -> Iterator[str]:
    if MOUNTED.is_dir():
        for path in sorted(MOUNTED.iterdir()):
            parts = path.name.split("-")
            if parts[0] == _PREFIX and len(parts) == 5 and parts[1].isdigit():
                yield path.name


def _started(pid: int) -> str:
    """When a process started, in ticks since boot: tells it from a later one of the same number. Empty if none is."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    fields = stat.rpartition(")")[2].split()
    # A zombie owns nothing any more.
    return "" if fields[0] in "ZX" else fields[19]
