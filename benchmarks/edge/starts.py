"""The daemon's start, its memory, and in a process of its own its rate (`benchmarks.edge.rate`)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from statistics import median

from rich.progress import Progress

from benchmarks.harness import Measured
from splitnet.demo.main import demo_bundle
from splitnet.demo.photos import labelled_photos
from splitnet.errors import UnavailableError

OUT = Path("out/edge")
PATIENCE = 60.0


@contextmanager
def answering(bundle: Path, core: int) -> Iterator[subprocess.Popen[str]]:
    """The service of `benchmarks.edge.answering` on one core."""
    command = [sys.executable, "-m", "benchmarks.edge.answering", str(bundle)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    os.sched_setaffinity(process.pid, {core})
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise UnavailableError("the service of the benchmark ended; its error is above")
    return line


def _config(address: str, bundle: Path, **more: str) -> Path:
    rmtree(OUT / "run", ignore_errors=True)
    (OUT / "run").mkdir(parents=True)
    path = OUT / "run" / "edge.toml"
    photos = labelled_photos()[0].path.parent
    path.write_text(
        f'state = "state"\n[models.lite0]\nbundle = "{bundle.resolve()}"\ncut = "block7"\n'
        f'[[servers]]\naddress = "{address}"\n'
        f'[sources.camera]\nkind = "folder"\npath = "{photos}"\nsink = "out"\n'
        'settle = 0.0\ntasks = ["classification"]\n'
        '[sinks.out]\nkind = "jsonl"\npath = "out.jsonl"\n[logging]\nlevel = "warning"\n' + more.get("more", "")
    )
    return path


def measure(short: bool) -> Measured:
    """Ratios of repeats in turns, and medians of starts."""
    bundle = demo_bundle(Path("out/demo/bundle")).path
    first, second = _cores()
    starts, peaks = [], []
    with Progress(transient=True) as bar:
        for _ in bar.track(range(2 if short else 7), description="starts"):
            with answering(bundle, second) as service:
                seconds, peak = _start(service, bundle)
            starts.append(seconds)
            peaks.append(peak)
        task = bar.add_task("rate", total=None)
        with answering(bundle, second) as service:
            config = _config(_line(service), bundle)
            count = 200 if short else 1500
            command = [sys.executable, "-m", "benchmarks.edge.rate", str(config), str(bundle), str(count), str(first)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        bar.remove_task(task)
    if done.returncode:
        raise UnavailableError("the measurement of the rate failed; its error is above")
    found = json.loads(done.stdout.splitlines()[-1])
    figures = {
        "edge.rate_vs_graph": found["ratio"],
        "edge.rate": median(row["daemon"] for row in found["rounds"]),
        "edge.first_frame_s": median(starts),
        "edge.daemon_rss_mb": median(peaks),
    }
    return Measured(figures, [*found["rounds"], {"first_frame_s": starts}, {"daemon_rss_mb": peaks}])


def _start(service: subprocess.Popen[str], bundle: Path) -> tuple[float, float]:
    """Seconds from the start of the process to its first request, and its peak after the folder was answered."""
    config = _config(_line(service), bundle, more='[page]\nlisten = "127.0.0.1:0"\n')
    command = [sys.executable, "-m", "splitnet", "edge", "daemon", "--config", str(config)]
    begun = time.monotonic()
    daemon = subprocess.Popen(command)
    try:
        seconds = float(_line(service)) - begun
        wanted = len(labelled_photos())
        while not _lines(OUT / "run" / "out.jsonl", wanted):
            if time.monotonic() - begun > PATIENCE:
                raise UnavailableError("the daemon did not answer all photos")
            time.sleep(0.05)
        peak = _peak(daemon.pid)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()
    return seconds, peak


def _lines(path: Path, wanted: int) -> bool:
    return path.exists() and path.read_bytes().count(b"\n") >= wanted


def _peak(pid: int) -> float:
    """High-water mark of resident memory, 10^6 bytes."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6


def _cores() -> tuple[int, int]:
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]
