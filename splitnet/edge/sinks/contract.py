"""What a sink is: where records go for good."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

from splitnet.edge.daemon.record import Record


class Sink(Protocol):
    """Records, durable once `write` returns. Called from one thread at a time, never from the event loop.

    Every record comes at least once: after a crash, or after `write` raised, the same records come again, perhaps with
    others. A sink that can tell writes each id once.
    """

    def resume(self, mark: str) -> Iterable[str]:
        """Put in order what a crash left. `mark` is what `mark` said when the daemon last noted records as done, empty
        for a new sink. Yields the ids that were written since, so that they are not written again; sinks that know an
        id when it comes again yield none. Raises OutputError.
        """
        ...

    @property
    def mark(self) -> str:
        """How far this sink is, after the last `write`, for `resume`; empty where it needs none."""
        ...

    def write(self, records: Sequence[Record]) -> None:
        """Write all of these, or raise OutputError, in one line that says what is wrong: the daemon tries again."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
