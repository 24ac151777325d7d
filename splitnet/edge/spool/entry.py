"""One frame that waits for a server, and how it lies on disk."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from splitnet.errors import OutputError

_LENGTH = 4


@dataclass(frozen=True, slots=True)
class Entry:
    """What is needed to ask for the answer later, and to record it.

    `remember` is in seconds, as in `Item`; `captured` is Unix time.
    """

    id: str
    source: str
    name: str
    captured: float
    remember: float
    model: str
    fingerprint: str
    cut: str
    codec: str
    tasks: tuple[str, ...]
    top_k: int
    frame: bytes

    def packed(self) -> bytes:
        """A length (4 bytes, little-endian), as much JSON, then the frame."""
        said = asdict(self)
        del said["frame"]
        text = json.dumps(said, separators=(",", ":")).encode()
        return len(text).to_bytes(_LENGTH, "little") + text + self.frame


def unpack(data: bytes) -> Entry:
    """What `packed` made. Raises OutputError where it is something else."""
    size = int.from_bytes(data[:_LENGTH], "little")
    try:
        said: dict[str, Any] = json.loads(data[_LENGTH : _LENGTH + size])
        said["tasks"] = tuple(said["tasks"])
        return Entry(**said, frame=data[_LENGTH + size :])
    except (ValueError, TypeError, KeyError) as error:
        raise OutputError(f"an entry of the spool is damaged ({error})") from error
