"""A link between two network namespaces that lives as long as a with block."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

from benchmarks.link import namespaces
from benchmarks.link.control import Control, tun
from benchmarks.link.line import Counters
from benchmarks.link.settings import MTU, RING, LinkSettings
from splitnet.errors import UsageError

Side = Literal["client", "server"]

DEVICE = "link0"
"""The network device, in either namespace."""

_PATIENCE = 5.0
"""Seconds that a process has to end by itself."""

_SYSCTLS = {
    # Neighbour discovery would take decisions of the seeded loss.
    "net/ipv6/conf/all/disable_ipv6": "1",
    # What one connection learnt must not make the next one different.
    "net/ipv4/tcp_no_metrics_save": "1",
}


@dataclass(frozen=True, slots=True)
class End:
    """One end of a link: its namespace, and its address there."""

    namespace: str
    address: str


class Link:
    """An emulated link, made on entry and removed on exit; several may exist at once.

    Addresses are the same in every link, because nobody else sees them. Everything is removed too where this process
    is killed.

    Parameters
    ----------
    settings
        what the link is at first.
    seed
        0 to 2**63 - 1; decides which packets are lost and how delays jitter, so that a run can be repeated.
    congestion
        TCP's congestion control. A machine's own choice differs, and reno alone may be chosen on every one.

    Raises
    ------
    UsageError
        on construction for a wrong seed, on entry where this machine cannot make a link.
    """

    def __init__(self, settings: LinkSettings | None = None, *, seed: int = 0, congestion: str = "reno") -> None:
        if not 0 <= seed < 1 << 63:
            raise UsageError(f"seed is {seed}: give 0 to 2**63 - 1")
        self.settings = settings or LinkSettings()
        self._seed = seed
        self._sysctls = _SYSCTLS | {"net/ipv4/tcp_congestion_control": congestion}
        client, server = namespaces.new_names()
        self.client, self.server = End(client, "192.0.2.1"), End(server, "192.0.2.2")
        self._processes: list[subprocess.Popen[Any]] = []
        self._control: Control | None = None

    def __enter__(self) -> Self:
        if why := namespaces.lacking():
            raise UsageError(why)
        namespaces.sweep()
        try:
            self._make()
            self.change()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def end(self, side: Side) -> End:
        """The end on one side."""
        return self.client if side == "client" else self.server

    def popen(self, side: Side, argv: Sequence[str | Path], **options: Any) -> subprocess.Popen[Any]:
        """Start a process inside a namespace; `options` are those of subprocess.Popen. The link ends it on exit."""
        command = ["ip", "netns", "exec", self.end(side).namespace, *map(str, argv)]
        self._processes.append(subprocess.Popen(command, **options))
        return self._processes[-1]

    def socket(self, side: Side, kind: socket.SocketKind = socket.SOCK_STREAM) -> socket.socket:
        """An IPv4 socket inside a namespace, for this process to use as any other."""
        return namespaces.inside(self.end(side).namespace, lambda: socket.socket(socket.AF_INET, kind))

    def change(self, **changes: Any) -> None:
        """Alter fields of the settings, at once; a replay ends. Raises UsageError for values that cannot be."""
        settings = replace(self.settings, **changes)
        self._running.follow([(0.0, settings)])
        self.settings = settings

    def replay(self, trace: Sequence[tuple[float, LinkSettings]]) -> float:
        """Follow a trace from now on: settings, each with the seconds after the start from which they hold.

        Returns the start, in seconds of time.monotonic(). `settings` stays what it was before.
        """
        start = time.monotonic()
        self._running.follow((start + seconds, settings) for seconds, settings in trace)
        return start

    def counters(self) -> tuple[Counters, Counters]:
        """What became of the packets so far: up, down."""
        return self._running.counters()

    def close(self) -> None:
        """End what was started inside, then remove the link; a second time does nothing."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._processes.clear()
        if self._control is not None:
            self._control.close()
            self._control = None
        for end in (self.client, self.server):
            if (namespaces.MOUNTED / end.namespace).exists():
                namespaces.remove(end.namespace)

    @property
    def _running(self) -> Control:
        if self._control is None:
            raise UsageError("the link is closed")
        return self._control

    def _make(self) -> None:
        """Devices are made here and moved; their descriptors go on working, so the shuttle needs to enter neither."""
        ends = (self.client, self.server)
        with contextlib.ExitStack() as stack:
            devices: list[int] = []
            for end, other in (ends, ends[::-1]):
                descriptor, name = tun()
                stack.callback(os.close, descriptor)
                devices.append(descriptor)
                namespaces.ip(f"netns add {end.namespace}", f"link set dev {name} netns {end.namespace} name {DEVICE}")
                namespaces.set_sysctls(end.namespace, self._sysctls)
                namespaces.ip(
                    f"addr add {end.address} peer {other.address} dev {DEVICE}",
                    f"link set dev {DEVICE} mtu {MTU} txqueuelen {RING} up",
                    "link set dev lo up",
                    namespace=end.namespace,
                )
            self._control = Control((devices[0], devices[1]), (ends[0].namespace, ends[1].namespace), self._seed)
