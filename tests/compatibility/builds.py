"""Builds of the kernels' sources as a plain program (replay.cpp), by other compilers, for other processors."""

from __future__ import annotations

import hashlib
import re
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_CMAKE = (ROOT / "CMakeLists.txt").read_text()
# What CMake compiles, and with which flags: it puts a packager's CXXFLAGS before them.
SOURCES = [ROOT / name for name in re.findall(r"codecs/featcodec/_native/\S+\.cpp", _CMAKE)]
_FLAGS = re.search(r"target_compile_options\(kernels PRIVATE ([^)]*)\)", _CMAKE)
assert _FLAGS is not None
FLAGS = _FLAGS[1].split()


class MissingToolError(Exception):
    """A compiler or an emulator that is not installed."""


@dataclass(frozen=True)
class Build:
    """A compiler, CXXFLAGS, what comes after our own flags and so wins over them, and what runs the program."""

    name: str
    compiler: str = "g++"
    before: str = ""
    after: str = ""
    emulator: str = ""
    calls: str = "all"

    @property
    def flags(self) -> list[str]:
        """In the order in which the compiler gets them."""
        return [*self.before.split(), "-std=c++20", *FLAGS, *self.after.split()]


_FAST = "-O3 -march=native -ffast-math -funroll-loops"
BUILDS = [
    Build("g++"),
    Build("g++ -O0", after="-O0"),
    Build(f"g++ {_FAST}", before=_FAST),
    Build(
        "g++ -fsanitize=address,undefined",
        after="-O1 -fsanitize=address,undefined -fno-sanitize-recover=all -D_GLIBCXX_ASSERTIONS",
    ),
    Build("clang++", "clang++"),
    Build(f"clang++ {_FAST}", "clang++", before=_FAST),
    # What encoders may not do, decoders stand: they have no rounding that such flags could change.
    Build("g++ -ffast-math -mfpmath=387 last", after="-O2 -ffast-math -mfpmath=387", calls="decode"),
    Build("aarch64", "aarch64-linux-gnu-g++", after="-static", emulator="qemu-aarch64"),
    Build("aarch64 -O1", "aarch64-linux-gnu-g++", after="-O1 -static", emulator="qemu-aarch64"),
    Build("arm, 32 bits", "arm-linux-gnueabihf-g++", after="-O2 -static", emulator="qemu-arm"),
]


def make(build: Build) -> Path:
    """The program; kept until a source or a flag changes. Raises MissingToolError."""
    for tool in filter(None, (build.compiler, build.emulator)):
        if shutil.which(tool) is None:
            raise MissingToolError(f"{tool} is not installed")
    flags = [*build.flags, "-Wno-psabi", f"-I{HERE / 'stand_in'}", f"-I{ROOT / 'codecs/featcodec/_native'}"]
    parts = [HERE / "replay.cpp", *SOURCES]
    read = sorted([*HERE.rglob("*.h"), *(ROOT / "codecs/featcodec/_native").glob("*.h"), *parts])
    digest = hashlib.sha256(" ".join([build.compiler, *flags]).encode())
    for path in read:
        digest.update(path.read_bytes())
    folder = ROOT / "build" / "compatibility" / digest.hexdigest()[:16]
    program = folder / "replay"
    if program.exists():
        return program
    folder.mkdir(parents=True, exist_ok=True)
    objects = [folder / f"{part.stem}.o" for part in parts]
    commands = [
        [build.compiler, *flags, "-c", str(part), "-o", str(made)] for part, made in zip(parts, objects, strict=True)
    ]
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(_run, commands))
    fresh = folder / "replay.new"
    _run([build.compiler, *flags, *map(str, objects), "-o", str(fresh)])
    for made in objects:
        made.unlink()
    return fresh.rename(program)


def replay(build: Build, trace: Path) -> dict[str, int]:
    """How many calls of each kernel gave what the trace says. Raises AssertionError where one did not."""
    command = [*filter(None, [build.emulator]), str(make(build)), str(trace), build.calls]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, f"{build.name}: {done.stderr[-4000:]}"
    return {name: int(count) for name, count in (line.split() for line in done.stdout.splitlines())}


def timed(build: Build, trace: Path) -> tuple[int, float]:
    """Calls that agree, and the seconds that compiling and running took."""
    start = time.monotonic()
    return sum(replay(build, trace).values()), time.monotonic() - start


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr[-4000:]}"


def compile_without_floats(source: Path) -> str:
    """What g++ says of floating point in a source, when it may use general registers only; "" when there is none.

    Raises MissingToolError.
    """
    if shutil.which("g++") is None:
        raise MissingToolError("g++ is not installed")
    command = ["g++", "-std=c++20", "-O0", "-mgeneral-regs-only", "-DSTAND_IN_WITHOUT_FLOATS", f"-I{HERE / 'stand_in'}"]
    done = subprocess.run([*command, "-S", "-o", "/dev/null", str(source)], capture_output=True, text=True, timeout=600)
    return "\n".join(line for line in done.stderr.splitlines() if "error" in line)
