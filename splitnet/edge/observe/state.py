"""How things are: what the daemon tells the tally, and what the tally remembers of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from splitnet.edge.observe.timeline import Modes
from splitnet.plan.candidate import Mode

SourceState = Literal["starting", "running", "failed", "ended"]
LinkMode = Literal["connecting", "up", "standby", "down"]
"""`standby`: it answers, but a server before it in the configuration is asked."""


@dataclass(frozen=True, slots=True)
class LinkState:
    """The way to one server.

    Attributes
    ----------
    bandwidth
        Uplink, bits a second; None: not measured.
    rtt
        Round trip of a small packet, seconds; None: not measured.
    queue
        How long requests wait in the server, seconds, as it says; None: it says nothing.
    error
        One line on why it is down; empty where it is not.
    """

    state: LinkMode
    bandwidth: float | None = None
    rtt: float | None = None
    queue: float | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class SpoolState:
    """What waits in the spool: entries, bytes on disk, and when the oldest was captured (Unix time; None if empty)."""

    entries: int = 0
    bytes: int = 0
    oldest: float | None = None


@dataclass(frozen=True, slots=True)
class DeviceState:
    """The machine: degrees Celsius, and what wants a processor per processor (1: all are busy); None: not known."""

    temperature: float | None = None
    load: float | None = None


@dataclass(slots=True)
class Failure:
    """An error, and how often it came; `kind` and `name` say whose it is, `seen` reads the monotonic clock."""

    kind: Literal["source", "sink", "server", "input"]
    name: str
    text: str
    seen: float
    times: int = 1


@dataclass(slots=True)
class ModelState:
    """How a model is run now, and was; `since` reads the monotonic clock, `changes` counts since the start."""

    mode: Mode | None = None
    cut: str = ""
    codec: str = ""
    reason: str = ""
    since: float = 0.0
    changes: int = 0
    modes: Modes = field(default_factory=Modes)

    @property
    def plan(self) -> str:
        """In a few words; empty before the first choice."""
        return " ".join(part for part in (self.mode, self.cut, self.codec) if part)


@dataclass(slots=True)
class ServerState:
    """A link and since when it is in its state (monotonic clock); None before anything is known."""

    link: LinkState | None = None
    since: float = 0.0
    error: Failure | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """Another plan for a model: Unix time and monotonic reading, the old plan and the new one in words, and why."""

    at: float
    seen: float
    model: str
    old: str
    new: str
    reason: str
