"""One input on its way through the daemon, and how its way ended."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from splitnet.edge.daemon.record import Record
from splitnet.edge.encoder import Photo, Ready

ID_BYTES = 16

How = Literal["recorded", "spooled", "dropped"]


@dataclass(frozen=True, slots=True)
class Settled:
    """How an item ended: its record is safe in the sink, its features in the spool, or it was dropped by policy.

    `record` is there where it was recorded.
    """

    how: How
    record: Record | None = None


def _nothing(_: Settled) -> None:
    """Nobody asks."""


@dataclass(frozen=True, slots=True)
class Item:
    """An input of a source.

    Attributes
    ----------
    id
        32 hexadecimal digits, different for every input there ever is; for an input that outlives the daemon (a file)
        always the same one, so that after a crash it is known again: `stable_id`.
    source, name
        The source's name in the configuration, and what a person calls this input: a file's path, a frame's number.
    photo
        What the encoder takes: a path, a file's bytes, uint8 pixels (H, W, 3), or what `prepare` made of one of these.
    captured
        When, Unix time in seconds; for records.
    taken
        The same as a reading of `time.monotonic`; for deadlines, as the clock may jump.
    remember
        Seconds for which the daemon has to know the id after it was answered, for an input that may come again: `inf`
        for a file that stays where it is, 0 where it cannot.
    settle
        Called once, on the daemon's event loop, when it is safe to forget the input.
    """

    source: str
    name: str
    photo: Photo | Ready
    id: str = field(default_factory=lambda: secrets.token_hex(ID_BYTES))
    captured: float = field(default_factory=time.time)
    taken: float = field(default_factory=time.monotonic)
    remember: float = 0.0
    settle: Callable[[Settled], None] = field(default=_nothing, repr=False, compare=False)


def stable_id(*parts: str | int) -> str:
    """The id of an input that is known by `parts`: the same parts, the same id."""
    text = "\0".join(str(part) for part in parts)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[: 2 * ID_BYTES]
