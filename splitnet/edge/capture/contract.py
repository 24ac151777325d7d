"""What a source is: where inputs come from."""

from __future__ import annotations

from typing import Protocol

from splitnet.edge.daemon.item import Item


class Intake(Protocol):
    """The daemon's door, the one place that decides what to drop. On the daemon's event loop."""

    async def offer(self, item: Item) -> None:
        """Hand over an item; it is settled sooner or later, dropped ones at once. Where the source promises every item,
        this waits until there is room: the source must not read on meanwhile.
        """
        ...

    def known(self, item_id: str) -> bool:
        """Whether an item of this id is recorded, in the spool or under way already."""
        ...


class Source(Protocol):
    """A source of items."""

    async def run(self, intake: Intake) -> None:
        """Offer items until there are no more; return then. Cancelled when the daemon ends or reloads.

        Nothing may block the event loop: files and devices are read in threads. Raises
        splitnet.errors.SourceError, in one line with the value that is wrong, for what the daemon has to report and to
        try again after a pause.
        """
        ...
