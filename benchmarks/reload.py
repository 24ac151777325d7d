"""Hot reload under load: devices keep sending while the version they use is loaded anew, again and again."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.progress import Progress

from benchmarks.harness import Measured, main
from benchmarks.serve.load import Run, closed_loop
from benchmarks.serve.processes import Cores, server
from benchmarks.serve.requests import Requests, parse_mix
from splitnet.bundle import Bundle
from splitnet.demo.main import demo_bundle
from splitnet.errors import UsageError

OUT = Path("out/reload")
DEVICES = 16
_LONGEST = 600.0


async def _administrate(socket: Path, *words: str) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "splitnet", "admin", *words, "--socket", str(socket), stdout=subprocess.DEVNULL
    )
    if await process.wait():
        raise UsageError(f"splitnet admin {' '.join(words)} failed with exit code {process.returncode}")


def _repository(folder: Path, bundle: Bundle) -> tuple[str, str]:
    """A repository folder with the bundle in it; its name and version."""
    name, version = bundle.manifest.name, bundle.manifest.version
    shutil.copytree(bundle.path, folder / name / version)
    return name, version


def measure(short: bool) -> Measured:
    """Requests that got no result, of all that were sent."""
    rounds = 2 if short else 20
    cores, bundle = Cores.pick(), demo_bundle(Path("out/demo/bundle"))
    requests = Requests(bundle, parse_mix("block7;block10"))
    with TemporaryDirectory() as folder, asyncio.Runner() as loop, Progress(transient=True) as bar:
        repository, socket = Path(folder) / "models", Path(folder) / "admin"
        name, version = _repository(repository, bundle)
        options = ("--repository", str(repository), "--admin-socket", str(socket))
        with server(None, cores.server, OUT / "server.log", options) as served:
            address = served.address
            task = bar.add_task("reloading under load", total=rounds)

            async def both() -> Run:
                stop = asyncio.Event()
                load = asyncio.create_task(closed_loop(address, requests, DEVICES, _LONGEST, in_flight=2, stop=stop))
                try:
                    for _ in range(rounds):
                        await _administrate(socket, "reload", f"{name}@{version}")
                        await _administrate(socket, "default", f"{name}@{version}")
                        bar.advance(task)
                finally:
                    stop.set()
                return await load

            codes = loop.run(both()).record.codes
    failed = sum(count for code, count in codes.items() if code != "OK")
    figures = {"serve.reload_failed_requests": float(failed), "serve.reload_answers": float(codes["OK"])}
    return Measured(figures, [{"reloads": rounds, "codes": dict(codes)}])


if __name__ == "__main__":
    main("reload", measure)
