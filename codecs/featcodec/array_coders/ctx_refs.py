"""The encoder's choice of reference channels for `ctx`; the reference of _native/ctx_refs.cpp.

Orthogonal matching pursuit on high-passed channels. Doubles decide only what the header then states; both encoders do
the same operations in the same order.
"""

from __future__ import annotations

import numpy as np

from featcodec.array_coders.ctx_model import WINDOW, Shape
from featcodec.contract import Array


def _products(s: Shape, values: Array) -> Array:
    """Products of high-passed channels, (channels, channels)."""
    wide = values.astype(np.int64)
    taps = wide << s.shift if s.shift >= 0 else wide >> -s.shift
    north, west = np.empty_like(taps), np.empty_like(taps)
    north[:, 1:] = taps[:, :-1]
    north[:, 0, 1:] = taps[:, 0, :-1]
    north[:, 0, 0] = taps[:, 0, 0]
    west[:, :, 1:] = taps[:, :, :-1]
    west[:, :, 0] = north[:, :, 0]
    high = ((2 * taps - west - north) >> 1).reshape(s.channels, -1)
    products: Array = (high @ high.T).astype(np.float64)
    return products


def choose_references(s: Shape, values: Array) -> list[list[int]]:
    """Distances of the reference channels of every channel, best first."""
    chosen: list[list[int]] = [[] for _ in range(s.channels)]
    if not s.max_refs or s.channels < 2:
        return chosen
    products = _products(s, values)
    for c in range(1, s.channels):
        others = c - np.arange(1, min(c, WINDOW) + 1)
        r, own = products[c, others], products[others, others]
        v, left = own.copy(), float(products[c, c])
        bits = (6.0 if s.small else 16.0) + len(others).bit_length()
        rows: list[tuple[Array, float]] = []
        while len(rows) < s.max_refs:
            usable = v > 0.001 * own
            gains = np.where(usable, r * r / np.where(usable, v, 1.0), 0.0)
            best = int(gains.argmax())
            gain = float(gains[best])
            if gain <= 0 or gain * float(s.area) <= left * (bits * 1.4):
                break
            chosen[c].append(best + 1)
            left = left - gain
            row = products[others[best], others]
            for old, norm in rows:
                row = row - old * old[best] / norm
            pivot, rb = float(v[best]), float(r[best])
            rows.append((row, pivot))
            r = r - row * rb / pivot
            v = v - row * row / pivot
            v[best] = 0
    return chosen
