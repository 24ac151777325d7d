"""What the daemon tells systemd, by the protocol of sd_notify(3): datagrams to a socket that the environment names."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping

SEND_SECONDS = 0.5
"""A message waits so long at most where the service manager does not read; then it is lost."""


class Notifier:
    """Tells the service manager how the daemon is; without one, or when it is gone, nothing happens.

    No method raises. What systemd believes depends on the unit: `Type=notify`, and `NotifyAccess` where it is not the
    main process that speaks.

    Attributes
    ----------
    interval
        Seconds after which `watchdog` has to be called again: half of what the unit allows; None where no unit waits.
    """

    def __init__(self, address: str = "", interval: float | None = None) -> None:
        """`address` is the path of a socket, or `@NAME` for an abstract one; empty for none."""
        # Other kinds (vsock) are for whole machines.
        self._address = address if address.startswith(("/", "@")) else ""
        self.interval = interval if self._address else None

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str] = os.environ) -> Notifier:
        """As the service manager asked for. The variables are taken out: a child that had them could speak for us."""
        address = environ.pop("NOTIFY_SOCKET", "")
        period, process = environ.pop("WATCHDOG_USEC", ""), environ.pop("WATCHDOG_PID", "")
        meant = not process or process == str(os.getpid())
        return cls(address, _half(period) if meant else None)

    def ready(self, status: str = "") -> None:
        """The start, or a reload, is over."""
        self._send("READY=1", *_status(status))

    def status(self, text: str) -> None:
        """What `systemctl status` shows, in one line."""
        self._send(*_status(text))

    def watchdog(self) -> None:
        """Still alive; to be called every `interval` seconds from what must not hang."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """The configuration is read again; `ready` follows, whether that worked or not."""
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """The daemon ends."""
        self._send("STOPPING=1")

    def _send(self, *fields: str) -> None:
        if not self._address or not fields:
            return
        where = f"\0{self._address[1:]}" if self._address[0] == "@" else self._address
        # A socket that is gone, or that nobody reads, is no reason to do anything else than before.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(SEND_SECONDS)
            sender.sendto("\n".join(fields).encode("utf-8", "replace"), where)


def _half(period: str) -> float | None:
    """Microseconds as text -> half of them in seconds; None where they are no number above 0."""
    return int(period) / 2e6 if period.isascii() and period.isdigit() and int(period) else None


def _status(text: str) -> list[str]:
    # A line break in it would begin another field.
    line = " ".join(text.split())
    return [f"STATUS={line}"] if line else []
