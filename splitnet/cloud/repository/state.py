"""What an administrator sees of a version."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from splitnet.cloud.repository.folder import Place, Signature


class State(StrEnum):
    """What is with a version."""

    LOADING = "loading"
    SERVING = "serving"
    FAILED = "failed"
    UNLOADED = "unloaded"


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a model.

    `error` says why the last attempt to load it failed; with state SERVING, what was loaded before goes on serving.
    `pinned`: it was chosen as the default and is not merely the newest.
    """

    name: str
    version: str
    state: State
    error: str = ""
    fingerprint: str = ""
    default: bool = False
    pinned: bool = False


@dataclass(slots=True)
class Entry:
    """What the repository knows of a version beside its model; `signature` is that of the files last looked at."""

    place: Place
    error: str = ""
    loading: bool = False
    signature: Signature = field(default=())
