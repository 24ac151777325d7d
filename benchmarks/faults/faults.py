"""The faults, each while photos keep coming."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import threading
import time
from contextlib import suppress

from benchmarks.faults.rig import Fault, Rig
from benchmarks.link.service import PORT


def server_killed(rig: Rig, short: bool) -> None:
    """Killed, and back after a while."""
    rig.kill_server()
    time.sleep(1 if short else 5)
    rig.start_server()


def cable_out(rig: Rig, short: bool) -> None:
    """No packet gets through, and no connection hears that."""
    rig.link.change(outage=True)
    time.sleep(5 if short else 60)
    rig.link.change(outage=False)


def half_open(rig: Rig, short: bool) -> None:
    """The server goes while the cable is out: the device's connection is open at its end alone."""
    rig.link.change(outage=True)
    rig.kill_server()
    time.sleep(2 if short else 10)
    rig.start_server()
    rig.link.change(outage=False)


def loss(rig: Rig, short: bool) -> None:
    """A fifth of all packets are lost."""
    rig.link.change(loss=0.2)
    time.sleep(4 if short else 30)
    rig.link.change(loss=0.0)


def latency(rig: Rig, short: bool) -> None:
    """Two seconds of round trip."""
    rig.link.change(delay=1.0)
    time.sleep(4 if short else 30)
    rig.link.change(delay=0.01)


def rubbish(rig: Rig, short: bool) -> None:
    """Something else listens in the server's place, and answers anything with noise."""
    rig.kill_server()
    listener = rig.link.socket("server")
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((rig.link.server.address, PORT))
    listener.listen()
    listener.settimeout(0.2)
    over = threading.Event()

    def answer() -> None:
        while not over.is_set():
            with suppress(OSError):
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(os.urandom(4096))

    thread = threading.Thread(target=answer)
    thread.start()
    time.sleep(3 if short else 15)
    over.set()
    thread.join()
    listener.close()
    rig.start_server()


def disk_full(rig: Rig, short: bool) -> None:
    """The folder of state and sinks has no byte left, while the server is away too."""
    rig.kill_server()
    filler = rig.folder / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as stream:
        while True:
            stream.write(bytes(1 << 16))
    time.sleep(3 if short else 15)
    rig.start_server()
    time.sleep(1 if short else 5)
    filler.unlink()


def clock_jump(rig: Rig, short: bool) -> None:
    """The device's clock is a month ahead, then a month behind, while photos wait for a server; then right again."""
    rig.kill_server()
    for days in (30, -30):
        rig.clock.set(days * 86_400)
        time.sleep(1.5 if short else 10)
    rig.start_server()
    time.sleep(1 if short else 5)
    rig.clock.set(0)


def daemon_killed(rig: Rig, short: bool) -> None:
    """Killed at random moments, and started again at once."""
    draw = random.Random(0)
    for _ in range(5 if short else 50):
        time.sleep(draw.uniform(0.3, 2.5))
        rig.kill_daemon()
        rig.start_daemon()


FAULTS: dict[str, Fault] = {
    one.__name__: one
    for one in (
        server_killed,
        cable_out,
        half_open,
        loss,
        latency,
        rubbish,
        disk_full,
        clock_jump,
        daemon_killed,
    )
}


def mount_small(folder: str, megabytes: int) -> None:
    """A file system of its own for a folder, so that it can be full. Needs root."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder], check=True)


def unmount(folder: str) -> None:
    """Remove it."""
    subprocess.run(["umount", "-l", folder], check=False)
