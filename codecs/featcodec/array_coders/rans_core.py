"""Interleaved rANS over integer tables: the reference of _native/rans_core.h, bit for bit.

J. Duda, "Asymmetric numeral systems", arXiv:1311.2540; interleaving after F. Giesen, "Interleaved entropy coders",
arXiv:1402.3392. States are 32 bits and exchange words of 16; frequencies of a table sum to 2^14.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate

import numpy as np

from featcodec.contract import Array
from featcodec.errors import PayloadError

BITS = 14
TOTAL = 1 << BITS
LOW = 1 << 16
COST_BITS = 12
ABSENT = 28 << COST_BITS
TOP_LEVEL = 127
_MOST = 4096  # symbols of a table
_MASK = (1 << 32) - 1


@lru_cache(maxsize=1)
def costs() -> Array:
    """int64 (TOTAL + 1,): -log2(frequency / TOTAL) in units of 2^-COST_BITS bits; [0] is ABSENT."""
    frequency = np.arange(1, TOTAL + 1, dtype=np.uint64)
    whole = np.array([int(f).bit_length() - 1 for f in frequency], np.uint64)
    mantissa = frequency << (np.uint64(31) - whole)
    log2 = whole.astype(np.int64) << COST_BITS
    for bit in reversed(range(COST_BITS)):  # squaring doubles the logarithm
        mantissa = (mantissa * mantissa) >> np.uint64(31)
        carry = mantissa >> np.uint64(32)
        mantissa >>= carry
        log2 += carry.astype(np.int64) << bit
    return np.concatenate(([ABSENT], (BITS << COST_BITS) - log2))


def normalise(weights: Sequence[int]) -> list[int]:
    """Frequencies proportional to weights, rounded, at least 1 where the weight is not 0, summing to TOTAL.
    Raises PayloadError when all weights are 0."""
    total = sum(weights)
    if total == 0 or len(weights) > _MOST:
        raise PayloadError("rans: a table without symbols, or with too many")
    made = [max(1, (weight * TOTAL + total // 2) // total) if weight else 0 for weight in weights]
    left = TOTAL - sum(made)
    while left:
        largest = made.index(max(made))
        change = max(left, -(made[largest] // 2))
        made[largest] += change
        left -= change
    return made


def level_of(count: int) -> int:
    """The level whose weight is nearest to a count."""
    if count < 4:
        return count
    octave = count.bit_length() - 3
    rounded = (count + (1 << (octave - 1))) >> octave if octave else count
    return min(TOP_LEVEL, 4 * octave + rounded)


def weight_of(level: int) -> int:
    """0, 1, 2, 3, then four to an octave: 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, ..."""
    return level if level < 4 else (4 + level % 4) << (level // 4 - 1)


def frequencies_of(levels: Sequence[int]) -> list[int]:
    """The table that a list of levels stands for. Raises PayloadError."""
    return normalise([weight_of(level) for level in levels])


def streams_for(count: int) -> int:
    """How many states take turns: 1 for few symbols, whose bytes would weigh; more for many, for speed."""
    return 1 if count < 1024 else 2 if count < 65536 else 4


def encode(symbols: Sequence[int], tables: Sequence[list[int]], chosen: Sequence[int]) -> tuple[bytes, int]:
    """States and words of `symbols`, each in table `chosen[i]`; and the number of words."""
    starts = [[0, *accumulate(table)] for table in tables]
    streams = streams_for(len(symbols))
    states = [LOW] * streams
    words: list[int] = []
    for index in range(len(symbols) - 1, -1, -1):
        table, symbol = chosen[index], symbols[index]
        frequency = tables[table][symbol]
        x = states[index % streams]
        if x >= frequency << (32 - BITS):
            words.append(x & 0xFFFF)
            x >>= 16
        states[index % streams] = (x // frequency << BITS) + x % frequency + starts[table][symbol]
    packed = np.array(states, "<u4").tobytes() + np.array(words[::-1], "<u2").tobytes()
    return packed, len(words)


def decode(data: memoryview, words: int, tables: Sequence[list[int]], chosen: Sequence[int]) -> list[int]:
    """The symbols. `data` holds states and words, nothing else. Raises PayloadError."""
    starts = [[0, *accumulate(table)] for table in tables]
    streams = streams_for(len(chosen))
    states = np.frombuffer(data[: 4 * streams], "<u4").tolist()
    if min(states) < LOW:
        raise PayloadError("rans: a state is below its range")
    rest = np.frombuffer(data[4 * streams :], "<u2").tolist()
    symbols, at = [], 0
    for index, table in enumerate(chosen):
        x = states[index % streams]
        slot = x & (TOTAL - 1)
        symbol = bisect_right(starts[table], slot) - 1
        x = tables[table][symbol] * (x >> BITS) + slot - starts[table][symbol]
        if x < LOW:
            if at == words:
                raise PayloadError("rans: the payload ends before its symbols do")
            x = x << 16 | rest[at]
            at += 1
        states[index % streams] = x & _MASK
        symbols.append(symbol)
    if at != words or states != [LOW] * streams:
        raise PayloadError("rans: the payload's states do not end where they began")
    return symbols
