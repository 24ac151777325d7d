"""What `floats` expects of every value; docs/floats.md defines it. The native twin is _native/floats_model.h."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

LEAD = 22  # levels: the leading bit of a value with exponent `top`
ABOVE = 2  # octaves above `top` before a value must be escaped
BELOW = 40  # octaves below `top` where the encoder escapes what is not zero
BLOCK = 256  # columns between updates of a channel's means
LEAST_WEIGHT = 3
_MOST = 1 << (LEAD + 1 + ABOVE)
_MOST_ERROR = 1 << 24
# Eighths of the values to the west, north and north-west, less the channel's centre.
WEIGHTS = (
    *((0, 0, 0), (2, 2, 0), (3, 3, 0), (4, 4, 0), (5, 2, 0), (2, 5, 0), (4, 2, 0), (2, 4, 0)),
    *((6, 0, 0), (0, 6, 0), (4, 4, -2), (5, 5, -3), (6, 6, -4), (7, 7, -6), (6, 3, -1), (3, 6, -1)),
)


@dataclass(frozen=True)
class Format:
    """A float's bits: sign, exponent, mantissa, from the top."""

    exponent: int
    mantissa: int

    @property
    def width(self) -> int:
        """Bits of a value."""
        return 1 + self.exponent + self.mantissa

    @property
    def most(self) -> int:
        """The exponent of the largest finite value."""
        return (1 << self.exponent) - 2


FLOAT32, FLOAT16, BFLOAT16 = Format(8, 23), Format(5, 10), Format(8, 7)


class Parts(NamedTuple):
    """The value is +-full * 2^(exponent - 1) in units of the least denormal."""

    full: int
    exponent: int
    negative: bool


def split(bits: int, form: Format) -> Parts:
    """The parts of a value's bits."""
    exponent = bits >> form.mantissa & ((1 << form.exponent) - 1)
    full = bits & ((1 << form.mantissa) - 1) | int(exponent > 0) << form.mantissa
    return Parts(full, max(exponent, 1), bool(bits >> (form.width - 1)))


def shifted(value: int, left: int) -> int:
    """`value` shifted left, or right where `left` is negative."""
    return value << left if left >= 0 else value >> -left


@dataclass
class Params:
    """The header of a payload; `grid` is of positive and of negative values, `predictor` of each channel."""

    top: int
    zeros: bool
    same: bool
    shape: int
    scale: int
    weight: int
    grid: tuple[list[int], list[int]] = field(default_factory=lambda: ([], []))
    predictor: list[int] = field(default_factory=list)


class Bit:
    """An adaptive probability of a one."""

    def __init__(self) -> None:
        self._p = 1 << 15
        self._seen = 0

    @property
    def odds(self) -> int:
        """Of 256."""
        return min(max(self._p >> 8, 1), 255)

    def update(self, one: bool) -> None:
        """After a bit."""
        self._p += ((65535 if one else 0) - self._p) * (65536 // (self._seen + 3)) >> 16
        self._seen = min(self._seen + 1, 63)


@dataclass
class Slot:
    """What is known before a value; whoever codes it sets `level`, and `flag` (1 a zero, 2 the same as before)."""

    channel: int
    mean: int
    shift: int
    table: int
    zero: Bit | None
    same: Bit | None
    level: int = 0
    flag: int = 0


def slots(params: Params, view: tuple[int, int, int]) -> Iterator[Slot]:
    """A slot for every value, in order; each must be filled before the next is taken."""
    channels, height, width = view
    zeros, sames = [Bit() for _ in range(96)], [Bit() for _ in range(4)]
    usual, usual_error = 0, 64
    typical_weight = (1 << params.weight) - 6
    for channel in range(channels):
        weights = WEIGHTS[params.predictor[channel]]
        above: list[tuple[int, int, int]] = []  # level, error, flag
        total = error_total = 0
        for y in range(height):
            row: list[tuple[int, int, int]] = []
            for x in range(width):
                if x % BLOCK == 0:
                    done = y * width + x
                    centre = (total + 4 * usual) // (done + 4)
                    typical = (error_total + 16 * usual_error) // (done + 16)
                    if x == 0:
                        west = corner = above[0] if y else (centre, typical, 0)
                    block_total = block_error = 0
                north = above[x] if y else west
                east = above[min(x + 1, width - 1)] if y else west
                if not y:
                    corner = west
                off = sum(w * (tap[0] - centre) for w, tap in zip(weights, (west, north, corner), strict=True))
                mean = min(max(centre + (off >> 3), -_MOST), _MOST)
                near = 2 * (west[1] + north[1]) + corner[1] + east[1]
                spread = max(4, (near + typical * typical_weight) >> params.weight)
                shift = spread.bit_length() - 3
                slot = Slot(channel, mean, shift, spread >> shift & 3, None, None, west[0])
                if params.zeros:
                    around = west[2] % 2 + 2 * (north[2] % 2) + 4 * (corner[2] % 2 + east[2] % 2)
                    slot.zero = zeros[8 * around + min(max(((mean >> shift) + 8) >> 2, 0), 7)]
                if params.same and x and west[2] != 1:
                    slot.same = sames[west[2] // 2 + north[2] // 2 * 2]
                yield slot
                error = max(mean, 0) if slot.flag == 1 else abs(slot.level - mean)
                corner = north
                west = (slot.level, min(error, _MOST_ERROR), slot.flag)
                row.append(west)
                block_total += west[0]
                block_error += west[1]
                if x % BLOCK == BLOCK - 1 or x == width - 1:
                    total += block_total
                    error_total += block_error
            above = row
        usual += (total // (height * width) - usual) >> 2
        usual_error = (3 * usual_error + error_total // (height * width) + 2) >> 2
