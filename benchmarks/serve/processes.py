"""Processes on cores of their own: the server, and the bare network it is compared with."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from splitnet.errors import UnavailableError, UsageError


@dataclass(frozen=True, slots=True)
class Cores:
    """Core numbers of the server and of the load generator; the same where the machine has only one."""

    server: int
    load: int

    @staticmethod
    def pick() -> Cores:
        """The first and the last core that this process may use."""
        usable = sorted(os.sched_getaffinity(0))
        return Cores(usable[0], usable[-1])


@dataclass(frozen=True, slots=True)
class Served:
    """A running server."""

    process: subprocess.Popen[str]
    address: str

    @property
    def resident_bytes(self) -> int:
        """Memory it holds."""
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    @property
    def cpu_seconds(self) -> float:
        """Processor time it used, in user and kernel mode."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def server(bundle: Path | None, core: int, log: Path, options: Sequence[str] = ()) -> Iterator[Served]:
    """`splitnet serve` on one core, until the end of the block; `options` name what is served where no bundle does.

    Raises UnavailableError.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    what = () if bundle is None else ("--bundle", str(bundle))
    command = [sys.executable, "-m", "splitnet", "serve", *what, "--listen", "127.0.0.1:0", *options]
    with log.open("w", encoding="utf-8") as errors:
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command], stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        assert process.stdout is not None
        line = process.stdout.readline().strip()
        if not line.startswith("serving on "):
            raise UnavailableError(f"the server did not start; {log} says why")
        yield Served(process, line.removeprefix("serving on "))
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


class Bare:
    """The cloud graph and the heads in ONNX Runtime alone, in a process on one core that runs only when told to.

    Raises
    ------
    UsageError
        if it cannot be started.
    """

    def __init__(self, bundle: Path, core: int, cut: str) -> None:
        command = [sys.executable, "-m", "benchmarks.serve.bare", str(bundle), cut]
        self._process = subprocess.Popen(
            ["taskset", "-c", str(core), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def rate(self, batch: int, seconds: float) -> float:
        """Photos a second in batches of this size."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{batch} {seconds}\n")
            self._process.stdin.flush()
            return float(self._process.stdout.readline())
        except (OSError, ValueError) as error:
            raise UsageError("the process of the bare network ended; its error is above") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()


@contextlib.contextmanager
def echo(bundle: Path, core: int, cut: str) -> Iterator[str]:
    """The bare network behind gRPC alone, on one core: its address, until the end of the block. Raises UsageError."""
    command = [sys.executable, "-m", "benchmarks.serve.echo", str(bundle), cut]
    process = subprocess.Popen(["taskset", "-c", str(core), *command], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        address = process.stdout.readline().strip()
        if not address:
            raise UsageError("the process of the echo ended; its error is above")
        yield address
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()
