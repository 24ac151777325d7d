"""The bundles of one model that a device has fetched, and which of them it uses."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from splitnet.errors import BundleError, UsageError
from splitnet.files import write_whole

_STATE = "state.json"


@dataclass(frozen=True, slots=True)
class Shelved:
    """Fingerprints: of the bundle in use (empty: the configured one), of the one before, and of those that failed here
    or were rolled back, which are not fetched again.
    """

    current: str = ""
    previous: str = ""
    refused: tuple[str, ...] = ()


class Shelf:
    """A folder with a bundle in each subfolder, named by fingerprint, and a file that says which is in use.

    `configured` is the directory of the bundle that the configuration names, the first of them all.
    """

    def __init__(self, folder: Path, configured: Path) -> None:
        self._folder, self._configured = folder, configured

    @property
    def state(self) -> Shelved:
        """Which bundle is in use. Raises BundleError where the file is damaged."""
        path = self._folder / _STATE
        try:
            said: dict[str, Any] = json.loads(path.read_bytes())
            return Shelved(str(said["current"]), str(said["previous"]), tuple(map(str, said["refused"])))
        except FileNotFoundError:
            return Shelved()
        except OSError as error:
            raise BundleError(f"cannot read {path}: {error.strerror or error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise BundleError(f"{path} is damaged; remove it to go back to the configured bundle") from error

    @property
    def current(self) -> Path:
        """The directory of the bundle in use."""
        return self.place(self.state.current)

    def place(self, fingerprint: str) -> Path:
        """Where a bundle is, or is to be."""
        return self._folder / fingerprint if fingerprint else self._configured

    def switch(self, fingerprint: str) -> None:
        """Use another bundle from the next start or reload on; the one before stays. Raises OutputError."""
        state = self.state
        if state.current != fingerprint:
            self._write(replace(state, current=fingerprint, previous=state.current))
        self._tidy()

    def refuse(self, fingerprint: str) -> None:
        """Never fetch this one again: it failed. Raises OutputError."""
        state = self.state
        if fingerprint not in state.refused:
            self._write(replace(state, refused=(*state.refused, fingerprint)))

    def roll_back(self) -> Path:
        """Use the bundle from before, whose directory is returned, and refuse the present one.

        Raises UsageError where there is none.
        """
        state = self.state
        if not state.current:
            raise UsageError("there is no bundle to go back to: the configured one is in use")
        refused = (*state.refused, state.current) if state.current not in state.refused else state.refused
        # From the one before there is only the configured one to go back to.
        self._write(Shelved(state.previous, "", refused))
        return self.current

    def _tidy(self) -> None:
        """Remove what is neither in use nor the one before."""
        state = self.state
        for path in self._folder.iterdir():
            if path.is_dir() and not path.name.startswith(".") and path.name not in (state.current, state.previous):
                shutil.rmtree(path, ignore_errors=True)

    def _write(self, state: Shelved) -> None:
        data = json.dumps(asdict(state)).encode()
        write_whole(self._folder / _STATE, lambda stream: stream.write(data), folders=True, durable=True)
