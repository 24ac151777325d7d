"""The links and tasks that plans are tried on, and what was measured of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from splitnet.plan import Candidate, Constraints, Link, Plan, plan
from splitnet.plan.profile import Profile
from splitnet.plan.profiled import Wanted, candidates

MAX_KL = 0.025
"""What every choice has to keep to, nats: without a bound the coarsest step would always win."""

CONSTRAINTS = Constraints(max_kl=MAX_KL)

TURNS = 3
"""The candidates of a link take turns, so that what else the machine does in those minutes hits all alike."""

FAR = 1.5
"""What took so many times the best in the first turn has no other: half a minute a photo on the slowest link."""

ALONE = Candidate("edge")
"""The whole network on the device: what its speed is taken from, on each link anew, beside the candidates."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A link (Mbit/s both ways, milliseconds of round trip), and whether a task is answered in the cloud alone."""

    mbit: float
    rtt_ms: float
    cloud_only: bool

    @property
    def link(self) -> dict[str, float]:
        """What an emulated link is to be, as `benchmarks.link.LinkSettings` has it."""
        rate = 1e6 * self.mbit
        return {"rate_up": rate, "rate_down": rate, "delay": self.rtt_ms / 2000}

    @property
    def tasks(self) -> tuple[str, ...]:
        """What is asked for; the embedding is what only the cloud can answer."""
        return ("classification", "embedding") if self.cloud_only else ("classification",)

    def plan(self, profile: Profile, overhead: float, speed: float = 1.0) -> Plan:
        """What the planner says of a device that takes `speed` times what the profile says.

        `overhead` in seconds, as `Link` has it. Raises UsageError.
        """
        wanted = Wanted(self.tasks, cloud_only=("embedding",) if self.cloud_only else ())
        link = Link(1e6 * self.mbit, self.rtt_ms / 1000, overhead=overhead)
        found = candidates(profile, wanted)
        return plan(
            [replace(one, edge=speed * one.edge, encode=speed * one.encode) for one in found], link, CONSTRAINTS
        )


CELLS = [Cell(mbit, rtt, only) for mbit in (0.1, 1.0, 10.0, 100.0) for rtt in (5.0, 80.0) for only in (False, True)]
SHORT = [Cell(1.0, 5.0, True), Cell(100.0, 5.0, False)]

Measure = Callable[[Candidate, Sequence[str], int], list[float]]
"""Seconds of each photo of a turn (0 to TURNS - 1) for a candidate and tasks, on the link as it is."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A cell's plan, and the median seconds that each candidate really took, by its name.

    `speed` is the device's in this cell (seconds over the profile's), `unscaled` what the planner said without it.
    """

    cell: Cell
    made: Plan
    measured: Mapping[str, float]
    unscaled: Plan
    speed: float = 1.0

    @property
    def vs_best(self) -> float:
        """How much longer the chosen one took than the best of all, as a share."""
        return self.measured[self.made.choice.candidate.name] / min(self.measured.values()) - 1

    @property
    def errors(self) -> dict[str, float]:
        """Predicted less measured over measured, of every candidate."""
        return {
            one.candidate.name: one.latency / self.measured[one.candidate.name] - 1
            for one in self.made.table
            if not one.refusal
        }

    @property
    def choice_error(self) -> float:
        """The size of the error for the chosen one."""
        return abs(self.errors[self.made.choice.candidate.name])

    @property
    def unscaled_vs_best(self) -> float:
        """`vs_best` of what the planner chose without the device's speed."""
        return self.measured[self.unscaled.choice.candidate.name] / min(self.measured.values()) - 1

    @property
    def unscaled_error(self) -> float:
        """The size of the error for what the planner chose without the device's speed."""
        choice = self.unscaled.choice
        return abs(choice.latency / self.measured[choice.candidate.name] - 1)

    def rows(self) -> list[dict[str, Any]]:
        """One for each candidate."""
        return [
            {
                "mbit_s": self.cell.mbit,
                "rtt_ms": self.cell.rtt_ms,
                "cloud_only_head": self.cell.cloud_only,
                "device_speed": self.speed,
                "candidate": one.candidate.name,
                "chosen": one is self.made.choice,
                "predicted_ms": 1000 * one.latency,
                "measured_ms": 1000 * self.measured[one.candidate.name],
            }
            for one in self.made.table
            if not one.refusal
        ]


def try_cell(cell: Cell, profile: Profile, overhead: float, measure: Measure) -> Tried:
    """Measure every candidate that keeps to the constraints, and the device's speed. Raises SplitnetError."""
    unscaled = cell.plan(profile, overhead)
    allowed = [one.candidate for one in unscaled.table if not one.refusal]
    measured, alone = _in_turns(allowed, cell.tasks, measure)
    speed = alone / _alone(profile)
    return Tried(cell, cell.plan(profile, overhead, speed), measured, unscaled, speed)


def overhead_of(profile: Profile, measure: Measure) -> float:
    """Seconds that messages and threads add, from the chosen split of a link without limits; at least 0."""
    cell = Cell(10_000.0, 0.0, True)
    candidate = cell.plan(profile, 0.0).choice.candidate
    measured, alone = _in_turns([candidate], cell.tasks, measure)
    predictions = cell.plan(profile, 0.0, alone / _alone(profile)).table
    predicted = next(one.latency for one in predictions if one.candidate.name == candidate.name)
    return max(0.0, measured[candidate.name] - predicted)


def _in_turns(tried: Sequence[Candidate], tasks: Sequence[str], measure: Measure) -> tuple[dict[str, float], float]:
    """Median seconds of every candidate, by its name, and of the whole network on the device beside them."""
    alone: list[float] = []
    seconds: dict[str, list[float]] = {one.name: [] for one in tried}
    for turn in range(TURNS):
        alone += measure(ALONE, tasks, turn)
        # Back and forth: no candidate is always the one that comes right after another link.
        for one in tried if turn % 2 == 0 else reversed(tried):
            seconds[one.name] += measure(one, tasks, turn)
        if turn == 0:
            near = FAR * min(median(found) for found in seconds.values())
            tried = [one for one in tried if median(seconds[one.name]) <= near]
    return {name: median(found) for name, found in seconds.items()}, median(alone)


def _alone(profile: Profile) -> float:
    """Seconds of the whole network on the device."""
    found = candidates(profile, Wanted(("classification",)))
    return next(one.edge for one in found if one.mode == ALONE.mode)
