"""Contexts: a coefficient's table from the magnitudes of rows that were coded before it. Integers only.

The numpy reference of _native/rans_contexts.h; docs/profile.md has the definition.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from featcodec.contract import Array

if TYPE_CHECKING:
    from featcodec.profile import TransformProfile

MOST_MAGNITUDE, MOST_ROW = 127, 8191
_FRACTION = 6  # bits of a number below its leading one that count


@lru_cache(maxsize=1)
def _log16_fractions() -> Array:
    """round(16 log2((64 + i) / 64)), i in 0..63, exactly: the m with 2^(2m - 1) <= ((64 + i) / 64)^32 < 2^(2m + 1)."""
    return np.array([(((64 + i) ** 32).bit_length() - 192) // 2 for i in range(64)], np.int64)


def log16(numbers: Array) -> Array:
    """int64: about 16 log2 of integers from 1 to 2^32 - 1, from their seven leading bits."""
    numbers = numbers.astype(np.int64)
    whole = np.frexp(numbers.astype(np.float64))[1].astype(np.int64) - 1
    below = ((numbers << _FRACTION) >> whole) - (1 << _FRACTION)
    logarithms: Array = 16 * whole + _log16_fractions()[below]
    return logarithms


class ContextLayout:
    """Which rows each row refers to. Blocks of the same neighbourhood share a pattern; N patterns, K terms.

    `patterns` int32 (B,): each block's. `back` int32 (N, P, K): how many rows back the referred one lies, 0 where the
    term takes no part. `rows` int32 (P, K): its position in the scan, where any pattern has it.
    """

    def __init__(self, size: tuple[int, int], block: tuple[int, int], scan: Array, offsets: Array) -> None:
        down, across = size[0] // block[0], size[1] // block[1]
        count = block[0] * block[1]
        terms = offsets.astype(np.int64)
        block_down, block_across = np.divmod(np.arange(down * across), across)
        from_down = block_down[:, None] - terms[:, 0]
        from_across = block_across[:, None] - terms[:, 1]
        there = (from_down >= 0) & (from_down < down) & (from_across >= 0) & (from_across < across)
        behind = terms[:, 0] * across + terms[:, 1]  # blocks, in raster order
        there &= (behind > 0) | ~terms[:, :2].any(axis=1)
        existing, inverse = np.unique(there, axis=0, return_inverse=True)
        self.patterns: Array = inverse.reshape(-1).astype(np.int32)

        position = np.empty(count, np.int64)
        position[scan] = np.arange(count)
        u, v = np.divmod(scan.astype(np.int64), block[1])
        from_u, from_v = u[:, None] - terms[:, 2], v[:, None] - terms[:, 3]
        inside = (from_u >= 0) & (from_u < block[0]) & (from_v >= 0) & (from_v < block[1])
        self.rows: Array = position[np.where(inside, from_u * block[1] + from_v, 0)].astype(np.int32)
        back = behind * count + np.arange(count)[:, None] - self.rows
        inside &= back > 0
        self.back: Array = np.where(existing[:, None, :] & inside, back, 0).astype(np.int32)


class Contexts:
    """Contexts of a profile at one step. `bias` int32 (N, P, C): table = (beta * log16(num) + bias) >> 10, clamped."""

    def __init__(self, profile: TransformProfile, classes: Array, tables: Array) -> None:
        self.layout = profile.contexts
        self.weights: Array = profile.context_weights.astype(np.int64)
        self.alpha, self.beta = profile.context_prior.tolist()
        self.top = profile.tables.shape[0] - 1
        expected = profile.expected[tables].astype(np.int64)
        of_row = np.minimum(expected.sum(axis=1), 64 * MOST_ROW)
        rows, takes_part = self.layout.rows, self.layout.back > 0
        usual = np.full((len(takes_part), *tables.shape), self.alpha, np.int64)
        for k, (own, whole) in enumerate(self.weights):
            term = own * expected[rows[:, k]] + (whole * of_row[rows[:, k]])[:, None]
            usual += takes_part[:, :, k, None] * term
        # 2 k0 and both roundings go into one number: the floors nest.
        self.bias: Array = (512 * classes + (128 + 512) - self.beta * log16(usual)).astype(np.int32)

    def quiet(self) -> Array:
        """uint8 (N, P, C): tables where every referred symbol is 0."""
        return self._tables(np.array(self.alpha), self.bias)

    def logarithms(self) -> Array:
        """int32 (2048,): beta times log16, by bit length - 1 and the six bits that follow."""
        whole = 16 * np.arange(32)[:, None]
        scaled: Array = (self.beta * (whole + _log16_fractions())).astype(np.int32)
        return scaled.reshape(-1)

    def tables_of(self, symbols: Array) -> Array:
        """uint8 (B, P, C)."""
        blocks, rows, components = symbols.shape
        magnitudes = np.minimum(np.abs(symbols.astype(np.int32)), MOST_MAGNITUDE).reshape(-1, components)
        sums = np.minimum(magnitudes.sum(axis=1, dtype=np.int64), MOST_ROW)
        tables = np.empty(symbols.shape, np.uint8)
        for block in range(blocks):
            tables[block] = self.rows_tables(magnitudes, sums, block, slice(0, rows))
        return tables

    def rows_tables(self, magnitudes: Array, sums: Array, block: int, rows: slice) -> Array:
        """uint8 (rows, C): tables of some rows of a block, from clamped magnitudes (B P, C) and clamped sums (B P,)
        of the rows before."""
        pattern = self.layout.patterns[block]
        back = self.layout.back[pattern, rows]
        first = block * self.bias.shape[1] + rows.start
        referred = np.arange(first, first + len(back))[:, None] - back
        number = np.full((len(back), magnitudes.shape[1]), self.alpha, np.int64)
        for k, (own, whole) in enumerate(self.weights):
            part = own * magnitudes[referred[:, k]] + (whole * sums[referred[:, k]])[:, None]
            number += 64 * (back[:, k] > 0)[:, None] * part
        return self._tables(number, self.bias[pattern, rows])

    def _tables(self, number: Array, bias: Array) -> Array:
        tables: Array = np.clip((self.beta * log16(number) + bias) >> 10, 0, self.top).astype(np.uint8)
        return tables
