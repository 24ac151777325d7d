"""Measure a bundle on this machine: what both halves share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import featcodec
from splitnet.bundle import Bundle, Cut
from splitnet.edge.halves import Half, Values, half_for
from splitnet.figures import machine
from splitnet.plan.bench import Bench, Call
from splitnet.plan.profile import Machine, Threaded
from splitnet.plan.subject import Subject

Advance = Callable[[str, int, int], None]
"""Called with what begins, how much is done, and how much there is."""


@dataclass(frozen=True)
class Settings:
    """What is measured, and how; no `steps` mean those of the curve, `threads` is what `many` means."""

    cuts: tuple[str, ...]
    bench: Bench = field(default_factory=Bench)
    steps: tuple[float, ...] = ()
    threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))


class Frames:
    """Encodes the subject's photos at one cut with any codec; loads each graph once."""

    def __init__(self, bundle: Bundle, cut: Cut, subject: Subject, threads: int = 1) -> None:
        self._bundle, self._cut, self._threads = bundle, cut, threads
        self.inputs = subject.inputs
        self._halves: dict[bool, Half] = {}

    def half(self, spec: featcodec.Spec) -> Half:
        """The half that `spec` needs."""
        symbols = is_transform(spec)
        if symbols not in self._halves:
            self._halves[symbols] = half_for(self._bundle, self._cut, spec, self._threads)
        return self._halves[symbols]

    def values(self, spec: featcodec.Spec) -> list[Values]:
        """What the codec takes, for every photo. Raises ImageError."""
        half = self.half(spec)
        return [half.run(tensor, spec) for tensor in self.inputs]

    def encode(self, spec: featcodec.Spec) -> list[bytes]:
        """A frame for every photo. Raises ImageError."""
        half = self.half(spec)
        return [half.frame(values, spec) for values in self.values(spec)]


def is_transform(spec: featcodec.Spec) -> bool:
    """Whether frames of `spec` hold symbols of a calibrated transform."""
    return spec.quantiser.name == "transform"


def threaded(
    settings: Settings, makers: Mapping[str, Callable[[int], Call]], count: int, before: Call | None = None
) -> dict[str, Threaded]:
    """Time what each maker returns for one thread and for many; only once where there is one core. `before` as in
    `Bench.time`.
    """
    # Not in turns: threads of an engine's pool spin for a while after a run, and take a core from what is timed next.
    one, *others = (
        settings.bench.compare({name: partial(make, threads) for name, make in makers.items()}, count, before)
        for threads in sorted({1, settings.threads})
    )
    many = others[0] if others else one
    return {name: Threaded(one=one[name], many=many[name]) for name in makers}


def this_machine() -> Machine:
    """Processor, cores and libraries."""
    return Machine.model_validate(machine())
