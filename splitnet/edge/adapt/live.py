"""The planner in the loop: measures go in, a choice comes out, and it does not flap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from splitnet.edge.adapt.choice import Choice, choice_of
from splitnet.edge.link.meter import FASTEST
from splitnet.plan import Candidate, Constraints, Link, Objective, Plan, Prediction, plan

GAIN = 0.10
"""A new choice must promise so much less latency, as a share, and at least `LEAST` seconds."""
LEAST = 0.003
SURE = 3
"""So many looks in a row must prefer the same choice, unless it promises to halve the latency."""
LARGE = 0.5
FORGETTING = 0.01
"""Share of what is known of the service's speed that each look forgets while the device answers alone."""
WEIGHT = 0.2
"""Of a new measurement of the device's or the service's speed in their estimates."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the traffic says: bits a second, seconds; `up` says that a server can be asked at all, `interval` is the
    time from one request to the next.
    """

    up: bool
    bandwidth: float | None = None
    rtt: float | None = None
    queue: float = 0.0
    interval: float = 0.0


class LivePlan:
    """The best candidate for the conditions, of those that keep to the constraints.

    Times of the profile are scaled by what device and service really take (`computed`, `answered`): their load, their
    temperature. Until the link is known, the choice is the one for `assumed`. `curious` says that a faster link would
    change the choice, so that it is worth measuring. Raises UsageError where no candidate keeps to the constraints.
    """

    def __init__(
        self,
        candidates: Sequence[Candidate],
        constraints: Constraints,
        objective: Objective,
        *,
        input_cut: str,
        assumed: Link = Link(10e6, 0.03),  # noqa: B008 - frozen
        changed: Callable[[Choice, Choice, str], None] | None = None,
    ) -> None:
        self._candidates = tuple(one for one in candidates if not constraints.refusal(one))
        self._objective, self._input_cut, self._changed = objective, input_cut, changed
        made = plan(candidates, assumed, constraints, objective)
        self._edge, self._cloud = 1.0, 1.0
        self._preferred, self._times = "", 0
        self._local = next((one.edge for one in self._candidates if one.mode == "edge"), 0.0)
        self._current = made.choice.candidate
        self.curious = True
        self.choice = self._chosen("before anything was measured")

    @property
    def cloud_only(self) -> bool:
        """Whether nothing that may be chosen is answered on the device."""
        return all(one.mode != "edge" for one in self._candidates)

    def computed(self, choice: Choice, seconds: float) -> None:
        """See `Chooser`."""
        candidate = self._of(choice)
        if candidate is not None and candidate.edge + candidate.encode > 0:
            self._edge += WEIGHT * (seconds / (candidate.edge + candidate.encode) - self._edge)

    def answered(self, choice: Choice, seconds: float) -> None:
        """See `Chooser`."""
        candidate = self._of(choice)
        if candidate is not None and candidate.decode + candidate.cloud > 0:
            self._cloud += WEIGHT * (seconds / (candidate.decode + candidate.cloud) - self._cloud)

    def look(self, now: Conditions) -> Choice:
        """Decide anew. Called a few times a second."""
        if not now.up:
            return self._without_a_server()
        if now.bandwidth is None or now.rtt is None:
            return self.choice
        if self._current.mode == "edge":
            # Nobody asks the service, so nobody hears that it is faster again.
            self._cloud += FORGETTING * (1 - self._cloud)
        link = Link(now.bandwidth, now.rtt, overhead=now.queue, interval=now.interval)
        scaled = [self._scaled(one) for one in self._candidates]
        made, held = self._planned(scaled, link)
        best = made.choice
        self.curious = self._pays(*self._planned(scaled, replace(link, bandwidth=FASTEST)))
        if not self._pays(made, held):
            self._preferred, self._times = "", 0
            return self.choice
        self._times = self._times + 1 if self._preferred == best.candidate.name else 1
        self._preferred = best.candidate.name
        if self._times >= SURE or (self._gain(best, held) >= LARGE and self._times > 1):
            self._change(best.candidate.name, _reason(made, held, link))
        return self.choice

    def _without_a_server(self) -> Choice:
        if self._current.mode != "edge" and not self.cloud_only:
            edge = next(one for one in self._candidates if one.mode == "edge")
            self._change(edge.name, "no server answers")
        return self.choice

    def _planned(self, scaled: Sequence[Candidate], link: Link) -> tuple[Plan, Prediction]:
        """The best on such a link, and what the current choice would take there."""
        made = plan(scaled, link, objective=self._objective)
        return made, next(one for one in made.table if one.candidate.name == self._current.name)

    def _pays(self, made: Plan, held: Prediction) -> bool:
        best = made.choice
        little = held.latency - best.latency < LEAST and self._objective == "latency"
        return best is not held and self._gain(best, held) >= GAIN and not little

    def _gain(self, best: Prediction, held: Prediction) -> float:
        match self._objective:
            case "bytes":
                return 1 - best.sent / held.sent if held.sent else 0.0
            case "throughput":
                return 1 - held.throughput / best.throughput
            case "energy":
                return 1.0 if held.energy is None else 1 - (best.energy or 0.0) / held.energy if held.energy else 0.0
            case "latency":
                return 1 - best.latency / held.latency

    def _scaled(self, one: Candidate) -> Candidate:
        return replace(
            one,
            edge=one.edge * self._edge,
            encode=one.encode * self._edge,
            decode=one.decode * self._cloud,
            cloud=one.cloud * self._cloud,
        )

    def _change(self, name: str, reason: str) -> None:
        before = self.choice
        self._current = next(one for one in self._candidates if one.name == name)
        self._preferred, self._times = "", 0
        self.choice = self._chosen(reason)
        if self._changed is not None:
            self._changed(before, self.choice, reason)

    def _chosen(self, reason: str) -> Choice:
        return choice_of(self._current, self._input_cut, reason, self._local * self._edge)

    def _of(self, choice: Choice) -> Candidate | None:
        mine = self._current
        same = mine.mode == choice.mode and mine.codec == choice.codec and choice.cut in (mine.cut, self._input_cut)
        return mine if same else None


def _reason(made: Plan, held: Prediction, link: Link) -> str:
    best = made.choice
    return (
        f"{link.bandwidth / 1e6:.3g} Mbit/s, {1000 * link.rtt:.3g} ms: {1000 * best.latency:.3g} ms"
        f" where {held.candidate.name} takes {1000 * held.latency:.3g}"
    )
