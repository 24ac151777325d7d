"""Least squares of `ctx`, in integers; the reference of _native/ctx_solver.cpp."""

from __future__ import annotations

import numpy as np

from featcodec.contract import Array

MAX_TAPS = 19


def _rounded(v: int, shift: int) -> int:
    return (v + (1 << (shift - 1))) >> shift if shift > 0 else v


def _bounded(v: int, bits: int) -> int:
    return max(-(1 << bits), min(1 << bits, v))


class Solver:
    """Weights of one channel after another, each pulled toward those of the channels before it."""

    def __init__(self, ridge: int, reference_ridge: int, seldom: bool) -> None:
        self._seldom = seldom
        self._ridges = [ridge] * 4 + [reference_ridge] * (MAX_TAPS - 4)  # pixels that the prior is worth
        self.weight: list[int] = []
        self._prior = [4096, 4096, -2048, 1024] + [0] * (MAX_TAPS - 4)

    def start(self, taps: int) -> None:
        """Begin a channel with so many taps."""
        self._a = np.zeros((taps, taps), np.int64)
        self._b = np.zeros(taps, np.int64)
        self._count = self._solved = 0  # pixels added, and of those the ones in the weights
        self.weight = self._prior[:taps]

    def add(self, taps: Array, target: Array) -> None:
        """Learn from taps (number, pixels) and what they should have predicted."""
        self._a += taps @ taps.T
        self._b += taps @ target
        self._count += target.size

    def refresh(self) -> None:
        """Compute the weights if enough was added since the last time."""
        if not self._seldom or self._count >= self._solved + self._solved // 4:
            self._solve()

    def _solve(self) -> None:
        """Weights, Q13, by LDL^T."""
        self._solved = self._count
        n = len(self.weight)
        a: list[list[int]] = self._a.tolist()
        b: list[int] = self._b.tolist()
        largest = max(1, *(a[i][i] for i in range(n)))
        shift = max(0, largest.bit_length() - 28)
        floor = _rounded(largest, shift) // 16384 + 1
        v = [[0] * n for _ in range(n)]
        low = [[0] * n for _ in range(n)]
        y, inverse, size = [0] * n, [0] * n, [0] * n
        for j in range(n):
            own = _rounded(a[j][j], shift)
            ridge = own * self._ridges[j] // self._count + floor
            right = _rounded(b[j], shift) + _rounded(ridge * self._prior[j], 13)
            for k in range(j):
                total = _rounded(a[j][k], shift) - sum(_rounded(v[j][m] * low[k][m], 20) for m in range(k))
                v[j][k] = _bounded(total, 31)
                low[j][k] = _bounded((v[j][k] * inverse[k]) >> (10 + size[k]), 28)
                right -= _rounded(low[j][k] * y[k], 20)
            total = own + ridge - sum(_rounded(low[j][m] * v[j][m], 20) for m in range(j))
            pivot = max(_bounded(total, 31), floor)
            y[j] = _bounded(right, 31)
            size[j] = pivot.bit_length()
            inverse[j] = (1 << (30 + size[j])) // pivot
        w = [0] * n
        for j in reversed(range(n)):
            total = (y[j] * inverse[j]) >> (17 + size[j])
            total -= sum(_rounded(low[k][j] * w[k], 20) for k in range(j + 1, n))
            w[j] = _bounded(total, 15)
            self.weight[j] = max(-32767, min(32767, total))

    def finish(self) -> None:
        """End a channel: its weights move the prior."""
        if self._solved < self._count:
            self._solve()
        for i, weight in enumerate(self.weight):
            self._prior[i] += (weight - self._prior[i] + 4) >> 3
