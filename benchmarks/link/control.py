"""The owner's side of the shuttle: TUN devices, the process, and the guard that cleans up behind it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import struct
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from benchmarks.link.line import Counters
from benchmarks.link.settings import LinkSettings
from splitnet.errors import UsageError

_ROOT = Path(__file__).resolve().parents[2]

# The shuttle ends with its owner, however that ends; so whoever waits for it can be trusted to remove the rest.
_GUARD = """
"$1" -m benchmarks.link.shuttle "$2" "$3" "$4" "$5"
for name in "$6" "$7"; do
  ip netns pids "$name" | xargs -r kill -KILL
  ip netns delete "$name"
done 2>/dev/null
"""

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000

Timed = tuple[float, LinkSettings]
"""Settings, and the time of the monotonic clock, seconds, from which they hold; the past means at once."""


def tun() -> tuple[int, str]:
    """A new TUN device: its file descriptor and its name. A read is a packet sent, a write one received.

    Raises UsageError.
    """
    try:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        try:
            # The kernel puts the first number that is free for %d, and tells.
            made = fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", b"splitnet%d", _IFF_TUN | _IFF_NO_PI))
        except BaseException:
            os.close(descriptor)
            raise
    except OSError as error:
        raise UsageError(f"a TUN device cannot be made: {error.strerror}") from error
    return descriptor, made[:16].partition(b"\0")[0].decode()


class Control:
    """A running shuttle between two TUN devices, given by their descriptors.

    When it ends, because `close` was called or this process died, its guard removes both namespaces.
    """

    def __init__(self, devices: tuple[int, int], namespaces: tuple[str, str], seed: int) -> None:
        words = map(str, (sys.executable, *devices, os.getpid(), seed, *namespaces))
        # A session of its own: Ctrl-C is for the benchmark, which then closes its links in order.
        self._process = subprocess.Popen(
            ["sh", "-c", _GUARD, "link-guard", *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=devices,
            start_new_session=True,
            cwd=_ROOT,
            text=True,
        )

    def follow(self, changes: Iterable[Timed]) -> None:
        """Replace every change that is not yet due by these; those that are due are in force on return.

        Raises UsageError where the shuttle is gone.
        """
        self._tell('"clear"', *(json.dumps({"at": when, "set": settings.to_json()}) for when, settings in changes))

    def counters(self) -> tuple[Counters, Counters]:
        """Up, down. Raises UsageError where the shuttle is gone."""
        return self._tell()

    def close(self) -> None:
        """End it and wait until the namespaces are gone."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        self._process.wait()

    def _tell(self, *commands: str) -> tuple[Counters, Counters]:
        """Send commands; they have been obeyed when this returns, as the counters' answer shows."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write("".join(f"{command}\n" for command in (*commands, '"counters"')))
            stdin.flush()
            up, down = json.loads(stdout.readline())
        except (OSError, ValueError) as error:
            raise UsageError("the link's shuttle has ended") from error
        return Counters(**up), Counters(**down)
