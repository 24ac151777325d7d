"""How the next input of a source is answered, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from splitnet.bundle import Bundle
from splitnet.edge.encoder import default_codec, default_cut
from splitnet.plan.candidate import Candidate, Mode


@dataclass(frozen=True, slots=True)
class Choice:
    """A mode, and the cut and codec that go with it; of `cloud`, the cut is the network's input.

    `answer` is the size of an answer in bytes as far as it is known, `local` the seconds that the whole network takes
    on the device, 0 where nobody measured it.
    """

    mode: Mode
    cut: str = ""
    codec: str = ""
    reason: str = ""
    answer: float = 500.0
    local: float = 0.0

    @property
    def way(self) -> str:
        """Mode, cut and codec, as they are written in logs."""
        return {"edge": "all on the edge", "cloud": f"cloud {self.codec}"}.get(self.mode, f"{self.cut} {self.codec}")


class Chooser(Protocol):
    """Says what to do; told what it took."""

    @property
    def choice(self) -> Choice: ...

    def computed(self, choice: Choice, seconds: float) -> None:
        """The device worked so long on an input, from its file to the frame (or to the results)."""
        ...

    def answered(self, choice: Choice, seconds: float) -> None:
        """The service worked so long on it, waiting in line left out."""
        ...


class Fixed:
    """Always the same choice."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice

    def computed(self, choice: Choice, seconds: float) -> None:
        """Changes nothing."""

    def answered(self, choice: Choice, seconds: float) -> None:
        """Changes nothing."""


def fixed(bundle: Bundle, cut: str = "", codec: str = "") -> Fixed:
    """The cut and codec that a configuration names, the bundle's defaults where it does not. Raises UsageError."""
    chosen = bundle.cut(cut or default_cut(bundle))
    mode: Mode = "cloud" if bundle.manifest.is_input(chosen) else "split"
    return Fixed(Choice(mode, chosen.name, codec or default_codec(chosen), "configured" if cut or codec else "default"))


def choice_of(candidate: Candidate, input_cut: str, reason: str, local: float) -> Choice:
    """A planner's candidate as a choice; images go to the cut of the network's input."""
    cut = input_cut if candidate.mode == "cloud" else candidate.cut
    return Choice(candidate.mode, cut, candidate.codec, reason, candidate.answer or 500.0, local)
