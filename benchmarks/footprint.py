"""What splitnet weighs: the time of `import featcodec`, the memory of `splitnet edge run`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from rich.progress import Progress

from benchmarks.harness import Measured, main
from splitnet.demo.main import demo_bundle
from splitnet.demo.photos import labelled_photos
from splitnet.demo.server import server_process

_IMPORT = """
import numpy, time
start = time.perf_counter()
import featcodec
print(1000 * (time.perf_counter() - start))
"""


def import_milliseconds() -> float:
    """`import featcodec` in a fresh interpreter that has imported numpy already."""
    done = subprocess.run([sys.executable, "-c", _IMPORT], check=True, capture_output=True, text=True)
    return float(done.stdout)


def edge_peak_megabytes(bundle: Path, address: str, photos: Path) -> float:
    """Largest resident memory of one `splitnet edge run` over a folder, in units of 10^6 bytes."""
    command = [sys.executable, "-m", "splitnet", "edge", "run", "--server", address, "--bundle", str(bundle)]
    process = subprocess.Popen(
        [*command, "--source", str(photos / "imagenet_*.jpg"), "--json"], stdout=subprocess.DEVNULL
    )
    status = Path(f"/proc/{process.pid}/status")
    peak = 0
    while process.poll() is None:
        # The kernel keeps the high-water mark itself; the last reading before the exit has it all.
        try:
            lines = status.read_text(encoding="ascii").splitlines()
        except OSError:
            break
        peak = max([peak, *(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))])
        time.sleep(0.002)
    if process.wait() != 0:
        raise SystemExit(f"edge run failed with exit code {process.returncode}")
    return peak * 1024 / 1e6


def measure(short: bool) -> Measured:
    """Medians of repeats, each in a process of its own."""
    out = Path("out/demo")
    bundle = demo_bundle(out / "bundle")
    photos = labelled_photos()[0].path.parent
    with (
        server_process(bundle.path, out / "footprint-server.log") as address,
        Progress(transient=True) as bar,
    ):
        turns = bar.track(range(3 if short else 15), description="import")
        imports = [import_milliseconds() for _ in turns]
        turns = bar.track(range(2 if short else 5), description="edge run")
        memory = [edge_peak_megabytes(bundle.path, address, photos) for _ in turns]
    figures = {"import.featcodec_ms": median(imports), "edge.run_rss_mb": median(memory)}
    rows = [
        {"figure": "import.featcodec_ms", "repeats": imports},
        {"figure": "edge.run_rss_mb", "repeats": memory},
    ]
    return Measured(figures, rows)


if __name__ == "__main__":
    main("footprint", measure)
