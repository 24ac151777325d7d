"""What a link does to traffic, seen through sockets at both ends: rate, round trips, one-way delays, losses."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.link.link import DEVICE, Link, Side
from benchmarks.link.namespaces import inside
from benchmarks.link.settings import MTU

HEADERS = 28
"""Bytes of an IP and a UDP header, which count on the line."""

LEAST = 16
"""Bytes of a datagram's number and time."""

_PORT = 5000
# Numbers of <asm-generic/socket.h>, which Python does not name.
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 33, 35
_BUFFER = 64 << 20
_SPAN = struct.Struct("=qq")


@dataclass(slots=True)
class Train:
    """Datagrams that were sent one after the other, and those that came.

    `size` is bytes with headers; `came` has each one's number, and seconds from the send call to the arrival in the
    receiver's kernel; `arrivals` the times of arrival, seconds.
    """

    sent: int
    size: int
    came: list[tuple[int, float]] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """bit/s of the line, lost datagrams counted, from the first that came to the last."""
        between = self.came[-1][0] - self.came[0][0]
        return between * self.size * 8 / (self.arrivals[-1] - self.arrivals[0])

    @property
    def lost(self) -> list[bool]:
        """Whether each was lost."""
        came = {number for number, _ in self.came}
        return [number not in came for number in range(self.sent)]

    @property
    def delays(self) -> list[float]:
        """One-way delays of those that came, in order of arrival, seconds."""
        return [delay for _, delay in self.came]


def _stamped(link: Link, side: Side) -> socket.socket:
    """A bound socket for datagrams; the kernel's time of arrival does not depend on when Python comes to look."""
    made = link.socket(side, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
    made.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    made.bind((link.end(side).address, _PORT))
    return made


def _receive(sink: socket.socket) -> tuple[bytes, int]:
    """A datagram, and when it arrived, ns of time.time_ns(). Raises TimeoutError."""
    data, ancillary, _, _ = sink.recvmsg(MTU, 64)
    seconds, nanoseconds = struct.unpack("=qq", ancillary[0][2])
    return data, seconds * 10**9 + nanoseconds


def train(
    link: Link, sender: Side, sizes: int, count: int, interval: float, *, ahead: int = 0, patience: float = 1.0
) -> Train:
    """Send `count` datagrams of `sizes` bytes with headers, one each `interval` seconds, `ahead` of them at once.

    `patience` is the seconds after which nothing more comes.
    """
    result = Train(count, sizes)
    receiver: Side = "server" if sender == "client" else "client"
    with _stamped(link, sender) as source, _stamped(link, receiver) as sink:
        source.connect(sink.getsockname())
        sink.settimeout(patience)
        sending = threading.Event()
        reader = threading.Thread(target=_read, args=(sink, sending, result))
        reader.start()
        filler = bytes(sizes - HEADERS - LEAST)
        start = time.perf_counter() - ahead * interval
        for number in range(count):
            wait = start + number * interval - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            source.send(_SPAN.pack(number, time.time_ns()) + filler)
        sending.set()
        reader.join()
    return result


def _read(sink: socket.socket, sent: threading.Event, into: Train) -> None:
    while True:
        try:
            data, arrived = _receive(sink)
        except TimeoutError:
            if sent.is_set():
                return
            continue
        number, sent_at = _SPAN.unpack_from(data)
        into.came.append((number, (arrived - sent_at) / 1e9))
        into.arrivals.append(arrived / 1e9)
        if number == into.sent - 1:
            # Unless packets are reordered nothing comes after the last.
            return


def round_trips(link: Link, count: int, interval: float, patience: float) -> list[float]:
    """Seconds that small datagrams take there and back, without their stay at the other end; lost ones are missing."""
    found: list[float] = []
    with _stamped(link, "server") as server, _stamped(link, "client") as client:
        for one, other in ((server, client), (client, server)):
            one.connect(other.getsockname())
        server.settimeout(patience + interval)
        echo = threading.Thread(target=_echo, args=(server,))
        echo.start()
        start = time.monotonic()
        end, sent = start + count * interval + patience, 0
        while (now := time.monotonic()) < end and len(found) < count:
            due = start + sent * interval if sent < count else end
            if now >= due:
                client.send(_SPAN.pack(0, time.time_ns()))
                sent += 1
                continue
            client.settimeout(due - now)
            with contextlib.suppress(TimeoutError):
                data, arrived = _receive(client)
                stay, sent_at = _SPAN.unpack(data)
                found.append((arrived - sent_at - stay) / 1e9)
        echo.join()
    return found


def _echo(server: socket.socket) -> None:
    """Send everything back with the time it stayed here: how soon Python is woken is no property of the link."""
    with contextlib.suppress(TimeoutError):
        while True:
            data, arrived = _receive(server)
            _, sent_at = _SPAN.unpack(data)
            server.send(_SPAN.pack(time.time_ns() - arrived, sent_at))


def bulk_rate(link: Link, sender: Side, seconds: float, warm_up: float) -> float:
    """bit/s of the line, headers counted, that one TCP connection fills after `warm_up` seconds."""
    receiver: Side = "server" if sender == "client" else "client"
    with link.socket(receiver) as listener, link.socket(sender) as source:
        listener.bind((link.end(receiver).address, _PORT))
        listener.listen()
        source.connect(listener.getsockname())
        # What is still unsent at the end is dropped, not waited for.
        source.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        source.settimeout(0.1)
        stop = threading.Event()
        sink, _ = listener.accept()
        with sink:
            threads = [
                threading.Thread(target=work, args=(end, stop)) for work, end in ((_write, source), (_drain, sink))
            ]
            for thread in threads:
                thread.start()
            time.sleep(warm_up)
            # What the device received, not what TCP hands on: that comes in leaps, whenever a gap is filled.
            first, begin = _received(link, receiver)
            time.sleep(seconds)
            last, end = _received(link, receiver)
            stop.set()
            for thread in threads:
                thread.join()
    return (last - first) * 8 / (end - begin)


def _write(source: socket.socket, stop: threading.Event) -> None:
    block = bytes(1 << 16)
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            source.send(block)


def _drain(sink: socket.socket, stop: threading.Event) -> None:
    buffer = bytearray(1 << 18)
    sink.settimeout(0.1)
    while not stop.is_set():
        with contextlib.suppress(TimeoutError):
            sink.recv_into(buffer)


def _received(link: Link, side: Side) -> tuple[int, float]:
    """Bytes of IP packets that a side's device has received, and when."""

    def read() -> tuple[int, float]:
        text = Path("/proc/thread-self/net/dev").read_text(encoding="ascii")
        now = time.monotonic()
        return next(int(line.split()[1]) for line in text.splitlines() if line.split()[0] == f"{DEVICE}:"), now

    return inside(link.end(side).namespace, read)
