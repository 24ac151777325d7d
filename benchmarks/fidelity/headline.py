"""The calibrated codec in a few figures, with their intervals: what the project promises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from benchmarks.fidelity.curves import Interval, bootstrap, bytes_at
from benchmarks.fidelity.results import WORKING_LEVEL, Curve
from splitnet.runtime import Array

CODEC = "transform"
BYTES_LEVELS = (0.045, 0.04, 0.025, 0.011)
COSINE_LEVEL, COSINE = 0.045, 0.97
PEERS = {"ratio_to_best_image_codec": ("image",), "ratio_to_best_feature_codec": ("feature", "video")}


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of one cut."""

    name: str
    found: Interval

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        ends = (("value", self.found.value), ("low", self.found.low), ("high", self.found.high))
        return {"table": "codec", "figure": self.name} | {
            key: round(value, 6) if isfinite(value) else None for key, value in ends
        }


def headline(prefix: str, curves: Sequence[Curve], weights: Array) -> list[Figure]:
    """`prefix` is `codec.block7` or the like. Nothing where the codec was not measured, or a level not reached."""
    ours = next((one for one in curves if one.method.name == CODEC and one.points), None)
    if ours is None:
        return []
    found = [
        Figure(f"{prefix}.bytes_at_kl_{1000 * level:03.0f}", ours.bytes_at(level, weights)) for level in BYTES_LEVELS
    ]
    cosine = bootstrap(weights, lambda row: cosine_at(ours, COSINE_LEVEL, row))
    found.append(Figure(f"{prefix}.cosine_at_kl_{1000 * COSINE_LEVEL:03.0f}", cosine))
    both = bootstrap(weights, lambda row: bytes_at_both(ours, row))
    found.append(Figure(f"{prefix}.bytes_at_kl_{1000 * COSINE_LEVEL:03.0f}_cosine_{100 * COSINE:.0f}", both))
    for name, groups in PEERS.items():
        peers = [one for one in curves if one.method.group in groups and one.points]
        found.append(Figure(f"{prefix}.{name}", bootstrap(weights, _ratio(peers, ours))))
    return [one for one in found if isfinite(one.found.value)]


def bytes_at_both(curve: Curve, weights: Array) -> float:
    """The fewest bytes with a mean KL of at most `COSINE_LEVEL` and a mean cosine of at least `COSINE`."""
    sizes, kl = curve.means(weights)
    return max(bytes_at(sizes, kl, COSINE_LEVEL), bytes_at(sizes, 1 - _cosines(curve, weights), 1 - COSINE))


def _cosines(curve: Curve, weights: Array) -> Array:
    found: Array = np.array([point.cosine for point in curve.points.values()]) @ weights
    return found


def cosine_at(curve: Curve, level: float, weights: Array) -> float:
    """Mean cosine of the embeddings at a level of KL, linear in log KL between settings; NaN beyond their ends."""
    _, kl = curve.means(weights)
    cosine = _cosines(curve, weights)
    order = np.argsort(kl)
    if not kl[order[0]] <= level <= kl[order[-1]]:
        return float("nan")
    return float(np.interp(np.log(level), np.log(kl[order]), cosine[order]))


def _ratio(peers: Sequence[Curve], ours: Curve) -> Callable[[Array], float]:
    """The fewest bytes of the peers at KL 0.04 over ours, photos weighted: the best peer is chosen each time anew."""

    def ratio(row: Array) -> float:
        sizes = [bytes_at(*peer.means(row), WORKING_LEVEL) for peer in peers]
        fewest = min((size for size in sizes if isfinite(size)), default=float("nan"))
        return fewest / bytes_at(*ours.means(row), WORKING_LEVEL)

    return ratio
