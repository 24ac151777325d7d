"""A wall clock that jumps, for one process: the machine's own stays as it is."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from splitnet.errors import UnavailableError

SOURCE = Path(__file__).with_name("clock.c")


class Clock:
    """Makes a library in `folder` that puts the clock of processes with `environment` wrong; `set` says by how much.

    Raises UnavailableError where no C compiler is found.
    """

    def __init__(self, folder: Path) -> None:
        library, self._offset = folder / "clock.so", folder / "clock"
        command = ["cc", "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            told = getattr(error, "stderr", "") or error
            raise UnavailableError(f"the clock was not built; install a C compiler as `cc` ({told})") from error
        self.environment = {**os.environ, "LD_PRELOAD": str(library), "SPLITNET_CLOCK": str(self._offset)}
        self.set(0)

    def set(self, seconds: int) -> None:
        """How far ahead of the true time the clock is from now on."""
        # In place: running processes have mapped the file.
        descriptor = os.open(self._offset, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            os.pwrite(descriptor, seconds.to_bytes(8, "little", signed=True), 0)
        finally:
            os.close(descriptor)
