"""Which cuts are worth a look at all: those that no other beats in both bytes and work of the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cost:
    """What a cut costs: bytes without any codec, measured mean bytes of its calibrated codec (None: not calibrated) and
    multiply-adds of the device.
    """

    name: str
    float_bytes: int
    macs_before: int
    coded_bytes: float | None = None


def dominators(costs: Sequence[Cost]) -> dict[str, str]:
    """Dominated cut -> the smallest of those that have neither more bytes nor more work, and less of one.

    Two calibrated cuts are compared by measured bytes. One that is not calibrated has only its bytes without a codec:
    by them others may beat it, but it beats no cut whose bytes were measured.

    Of equal cuts a calibrated one counts, then the last, because what comes between equal cuts is cheap and often an
    activation, after which features code better. `costs` are in the order of the network.
    """
    better = {
        cost.name: [other for index, other in enumerate(costs) if _beats(other, index, cost, place)]
        for place, cost in enumerate(costs)
    }
    found = {}
    for name, some in better.items():
        if some:
            # One that is itself dominated is no advice.
            chosen = [one for one in some if not better[one.name]] or some
            found[name] = min(chosen, key=lambda one: (one.coded_bytes or one.float_bytes, one.macs_before)).name
    return found


def _beats(other: Cost, index: int, cost: Cost, place: int) -> bool:
    if index == place or (cost.coded_bytes is not None and other.coded_bytes is None):
        return False
    if other.coded_bytes is not None and cost.coded_bytes is not None:
        mine, theirs = (cost.coded_bytes, cost.macs_before), (other.coded_bytes, other.macs_before)
    else:
        mine, theirs = (cost.float_bytes, cost.macs_before), (other.float_bytes, other.macs_before)
    if mine != theirs:
        return theirs[0] <= mine[0] and theirs[1] <= mine[1]
    return index > place or (cost.coded_bytes is None and other.coded_bytes is not None)
