"""The links and tasks that plans are tried on, and what was measured of each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from splitnet.plan import Candidate, Constraints, Link, Plan, plan
from splitnet.plan.profile import Profile
from splitnet.plan.profiled import Wanted, candidates

MAX_KL = 0.025
"""What every choice has to keep to, nats: without a bound the coarsest step would always win."""

CONSTRAINTS = Constraints(max_kl=MAX_KL)


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

    def plan(self, profile: Profile, overhead: float) -> Plan:
        """What the planner says; `overhead` in seconds, as `Link` has it. Raises UsageError."""
        wanted = Wanted(self.tasks, cloud_only=("embedding",) if self.cloud_only else ())
        link = Link(1e6 * self.mbit, self.rtt_ms / 1000, overhead=overhead)
        return plan(candidates(profile, wanted), link, CONSTRAINTS)


CELLS = [Cell(mbit, rtt, only) for mbit in (0.1, 1.0, 10.0, 100.0) for rtt in (5.0, 80.0) for only in (False, True)]
SHORT = [Cell(1.0, 5.0, True), Cell(100.0, 5.0, False)]

Measure = Callable[[Candidate, Sequence[str]], list[float]]
"""Seconds of each photo for a candidate and tasks, on the link as it is."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A cell's plan, and the median seconds that each candidate really took, by its name."""

    cell: Cell
    made: Plan
    measured: Mapping[str, float]

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

    def rows(self) -> list[dict[str, Any]]:
        """One for each candidate."""
        return [
            {
                "mbit_s": self.cell.mbit,
                "rtt_ms": self.cell.rtt_ms,
                "cloud_only_head": self.cell.cloud_only,
                "candidate": one.candidate.name,
                "chosen": one is self.made.choice,
                "predicted_ms": 1000 * one.latency,
                "measured_ms": 1000 * self.measured[one.candidate.name],
            }
            for one in self.made.table
            if not one.refusal
        ]


def try_cell(cell: Cell, profile: Profile, overhead: float, measure: Measure) -> Tried:
    """Measure every candidate that keeps to the constraints. Raises SplitnetError."""
    made = cell.plan(profile, overhead)
    allowed = [one.candidate for one in made.table if not one.refusal]
    return Tried(cell, made, {one.name: median(measure(one, cell.tasks)) for one in allowed})


def overhead_of(profile: Profile, measure: Measure) -> float:
    """Seconds that messages and threads add, from the chosen split of a link without limits; at least 0."""
    cell = Cell(10_000.0, 0.0, True)
    choice = cell.plan(profile, 0.0).choice
    return max(0.0, median(measure(choice.candidate, cell.tasks)) - choice.latency)
