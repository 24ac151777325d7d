"""One source's way through the daemon: its model, its plan, its sink."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from splitnet.edge.adapt.choice import Choice, Chooser
from splitnet.edge.adapt.scene import Scene
from splitnet.edge.config.sources import AnySource
from splitnet.edge.daemon.item import Item
from splitnet.edge.daemon.model import Model
from splitnet.edge.daemon.record import Record, Status
from splitnet.edge.daemon.recorder import Recorder

ALONE = Choice("edge", reason="no server answers")


@dataclass(slots=True)
class Way:
    """Everything that an input of a source meets.

    `last` are the results that an unchanged scene repeats.
    """

    source: str
    section: AnySource
    model: Model
    tasks: tuple[str, ...]
    chooser: Chooser
    recorder: Recorder
    scene: Scene | None = None
    last: Mapping[str, Any] = field(default_factory=dict)

    @property
    def promised(self) -> bool:
        """Whether every input gets an answer, sooner or later."""
        return self.section.drop == "all"

    @property
    def spools(self) -> bool:
        """Whether features wait on disk where nothing answers in time."""
        return self.promised and "spool" in self.section.fallback

    @property
    def alone(self) -> bool:
        """Whether the device answers where no server does."""
        return "local" in self.section.fallback and self.model.answers(self.tasks)

    def choose(self, up: bool) -> Choice:
        """What to do with the next input; with no server up nothing is encoded that the device can answer."""
        choice = self.chooser.choice
        if not up and choice.mode != "edge" and self.alone and self.section.fallback[0] == "local":
            return ALONE
        return choice

    def left(self, item: Item) -> float | None:
        """Seconds until the deadline, if there is one."""
        return None if self.section.deadline is None else item.taken + self.section.deadline - time.monotonic()

    def record(self, item: Item, status: Status, choice: Choice | None = None, **more: Any) -> Record:
        """A record of an input, now."""
        sent = choice is not None and choice.mode != "edge"
        return Record(
            id=item.id,
            source=item.source,
            name=item.name,
            captured=item.captured,
            answered=time.time(),
            latency=time.monotonic() - item.taken,
            status=status,
            model=self.model.bundle.manifest.name,
            cut=choice.cut if sent and choice is not None else "",
            codec=choice.codec if sent and choice is not None else "",
            **more,
        )
