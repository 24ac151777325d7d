"""What splitnet weighs: the time of `import featcodec`, the memory of `splitnet edge run`."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from PIL import Image
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


def edge_peak_megabytes(bundle: Path, address: str, photos: str) -> float:
    """Largest resident memory of one `splitnet edge run` over photos (a glob), in units of 10^6 bytes."""
    command = [sys.executable, "-m", "splitnet", "edge", "run", "--server", address, "--bundle", str(bundle)]
    process = subprocess.Popen([*command, "--source", photos, "--json"], stdout=subprocess.DEVNULL)
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


def camera_photos(folder: Path) -> str:
    """Three of the demo's photos enlarged to 12 megapixels, as a camera's files are; returns their glob."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, photo in enumerate(labelled_photos()[:3]):
        with Image.open(photo.path) as image:
            image.convert("RGB").resize((4000, 3000)).save(folder / f"{number}.jpg", quality=90)
    return str(folder / "*.jpg")


def measure(short: bool) -> Measured:
    """Medians of repeats, each in a process of its own."""
    out = Path("out/demo")
    bundle = demo_bundle(out / "bundle")
    photos = str(labelled_photos()[0].path.parent / "imagenet_*.jpg")
    camera = camera_photos(out / "camera")
    with (
        server_process(bundle.path, out / "footprint-server.log") as address,
        Progress(transient=True) as bar,
    ):
        turns = bar.track(range(3 if short else 15), description="import")
        imports = [import_milliseconds() for _ in turns]
        turns = bar.track(range(2 if short else 5), description="edge run")
        memory = [edge_peak_megabytes(bundle.path, address, photos) for _ in turns]
        turns = bar.track(range(2 if short else 5), description="edge run, 12 megapixels")
        large = [edge_peak_megabytes(bundle.path, address, camera) for _ in turns]
    repeats = {"import.featcodec_ms": imports, "edge.run_rss_mb": memory, "edge.run_12mp_rss_mb": large}
    rows = [{"figure": name, "repeats": values} for name, values in repeats.items()]
    return Measured({name: median(values) for name, values in repeats.items()}, rows)


if __name__ == "__main__":
    main("footprint", measure)
