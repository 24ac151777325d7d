"""Which packets a link loses: Gilbert and Elliott's channel, decided by a seed.

A channel is good or bad, and loses each packet with the probability of its state. E. N. Gilbert, "Capacity of a
burst-noise channel", Bell System Technical Journal 39 (1960); E. O. Elliott, "Estimates of error rates for codes on
burst-noise channels", the same 42 (1963). One that never enters the bad state loses packets independently.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import repeat
from typing import Literal

from splitnet.errors import UsageError

Direction = Literal["up", "down"]


@dataclass(frozen=True, slots=True)
class GilbertElliott:
    """Probabilities, per packet: of turning bad (`enter`), of turning good (`leave`), of a loss in either state.

    Raises
    ------
    UsageError
        if one is not between 0 and 1.
    """

    enter: float = 0.0
    leave: float = 1.0
    good: float = 0.0
    bad: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not 0 <= value <= 1:
                raise UsageError(f"{field.name} is {value}: a probability is between 0 and 1")

    @staticmethod
    def bursts(loss: float, length: float) -> GilbertElliott:
        """Losses in bursts of `length` packets on average, `loss` of all packets in the long run.

        Raises UsageError where a burst is shorter than one packet, or such a loss needs gaps shorter than one.
        """
        if not (math.isfinite(length) and length >= 1):
            raise UsageError(f"bursts of {length} packets: a burst has one packet or more")
        most = length / (length + 1)
        if not 0 <= loss <= most:
            raise UsageError(f"loss is {loss}: in bursts of {length:g} packets it is between 0 and {most:.4g}")
        return GilbertElliott(enter=loss / (1 - loss) / length, leave=1 / length, bad=1.0)

    @property
    def share(self) -> float:
        """The share of packets lost in the long run."""
        total = self.enter + self.leave
        bad = self.enter / total if total else 0.0
        return bad * self.bad + (1 - bad) * self.good


class Fate:
    """The decisions of one direction, one after the other.

    Every packet takes two random numbers whatever the channel is, so that a seed stays in step through changes.
    """

    def __init__(self, seed: int, direction: Direction) -> None:
        # `random` promises that this sequence is the same in every version of Python.
        self._draw = random.Random(2 * seed + (direction == "down")).random
        self._bad = False

    def lost(self, channel: GilbertElliott) -> bool:
        """Whether the next packet is lost."""
        self._bad = self._draw() < (1 - channel.leave if self._bad else channel.enter)
        return self._draw() < (channel.bad if self._bad else channel.good)


def losses(channel: GilbertElliott, seed: int, direction: Direction) -> Iterator[bool]:
    """Whether the first, second, ... packet of a direction is lost on a link of this seed."""
    return map(Fate(seed, direction).lost, repeat(channel))
