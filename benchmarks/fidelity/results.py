"""From measurements to rows and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, nan
from typing import Any

import numpy as np

from benchmarks.fidelity.curves import LEVELS, Interval, bd_rate, bootstrap, bytes_at
from benchmarks.fidelity.measure import Point
from benchmarks.fidelity.methods import AnyMethod, Missing
from splitnet.runtime import Array

ANCHOR = "jpeg"
WORKING_LEVEL = 0.04
"""The KL divergence at which variants are compared and times are taken."""


NONE = Interval(nan)


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """A method on one cut: a point for each setting; no points where `note` says why."""

    method: AnyMethod
    points: Mapping[str, Point]
    edge_ms: float = 0.0

    @property
    def note(self) -> str:
        """Why nothing was measured."""
        return self.method.why if isinstance(self.method, Missing) else ""

    def means(self, weights: Array) -> tuple[Array, Array]:
        """Mean bytes and mean KL of each setting, photos weighted."""
        size = np.array([point.size for point in self.points.values()])
        kl = np.array([point.kl for point in self.points.values()])
        return size @ weights, kl @ weights

    def bytes_at(self, level: float, weights: Array) -> Interval:
        """Bytes at a level of KL."""
        return bootstrap(weights, lambda row: bytes_at(*self.means(row), level)) if self.points else NONE

    def bd_rate(self, anchor: Curve, weights: Array) -> Interval:
        """Percent of bytes against another curve at equal KL."""
        if not self.points or not anchor.points:
            return NONE
        return bootstrap(weights, lambda row: bd_rate(*self.means(row), *anchor.means(row)))

    def working(self) -> str:
        """The setting whose KL is nearest to 0.04: times are quoted there."""
        return min(self.points, key=lambda name: abs(np.log(max(self.points[name].kl.mean(), 1e-9) / WORKING_LEVEL)))


@dataclass(frozen=True, slots=True)
class Row:
    """A curve in numbers; milliseconds are medians at `setting`."""

    cut: str
    name: str
    label: str
    group: str
    bytes_at: tuple[Interval, ...] = ()
    bd_anchor: Interval = NONE
    bd_best: Interval = NONE
    best: str = ""
    setting: str = ""
    edge_ms: float = nan
    decode_ms: float = nan
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        values = {
            f"bytes_at_kl_{_digits(level)}": _listed(one) for level, one in zip(LEVELS, self.bytes_at, strict=False)
        }
        head = {"table": "methods", "cut": self.cut, "method": self.name, "label": self.label, "group": self.group}
        if self.note:
            return head | {"note": self.note}
        rates = {"bd_rate_jpeg": _listed(self.bd_anchor), "bd_rate_best": _listed(self.bd_best), "best": self.best}
        times = {"setting": self.setting, "edge_ms": round(self.edge_ms, 2), "decode_ms": round(self.decode_ms, 2)}
        return head | values | rates | times


def summarise(cut: str, curves: Sequence[Curve], weights: Array) -> list[Row]:
    """One row a curve."""
    at = {one.method.name: tuple(one.bytes_at(level, weights) for level in LEVELS) for one in curves}
    working = LEVELS.index(WORKING_LEVEL)
    anchor = next((one for one in curves if one.method.name == ANCHOR and one.points), None)

    def rank(one: Curve) -> float:
        value = at[one.method.name][working].value
        return value if isfinite(value) else float("inf")

    rows = []
    for one in curves:
        method = one.method
        if not one.points:
            rows.append(Row(cut, method.name, method.label, method.group, note=one.note))
            continue
        others = [other for other in curves if other is not one and other.method.group != "ours" and other.points]
        best = min(others, key=rank, default=None)
        setting = one.working()
        rows.append(
            Row(
                cut,
                method.name,
                method.label,
                method.group,
                bytes_at=at[method.name],
                bd_anchor=one.bd_rate(anchor, weights) if anchor and anchor is not one else NONE,
                bd_best=one.bd_rate(best, weights) if best else NONE,
                best=best.method.name if best else "",
                setting=setting,
                edge_ms=one.edge_ms + one.points[setting].median("encode_ms"),
                decode_ms=one.points[setting].median("decode_ms"),
            )
        )
    return rows


def setting_rows(
    cut: str, curves: Sequence[Curve], weights: Array, labels: Sequence[int | None] | None
) -> list[dict[str, Any]]:
    """One row a setting: means with their intervals; accuracy where labels are given."""
    rows = []
    for one in curves:
        for setting, point in one.points.items():
            row: dict[str, Any] = {
                "table": "settings",
                "cut": cut,
                "method": one.method.name,
                "label": one.method.label,
            }
            row |= {"group": one.method.group, "setting": setting}
            for name, what in (("bytes", "size"), ("kl", "kl"), ("agreement", "agree"), ("cosine", "cosine")):
                found = point.interval(what, weights)
                values = {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}
                row |= {key: round(value, 6) for key, value in values.items()}
            if labels is not None:
                right = accuracy(point.top1, labels)
                row["accuracy"] = right if isfinite(right) else None
            row["edge_ms"] = round(one.edge_ms + point.median("encode_ms"), 3)
            row["decode_ms"] = round(point.median("decode_ms"), 3)
            rows.append(row)
    return rows


def accuracy(top1: Array, labels: Sequence[int | None]) -> float:
    """Share of the labelled photos whose top-1 is their label; NaN without any."""
    pairs = [(int(mine), label) for mine, label in zip(top1, labels, strict=True) if label is not None]
    return float(np.mean([mine == label for mine, label in pairs])) if pairs else nan


def figures(rows: Sequence[Row]) -> dict[str, float]:
    """The flat namespace: `fidelity.block7.avif.bytes_at_kl_040` and so on, of the rows measured."""
    found: dict[str, float] = {}
    for row in rows:
        if row.note:
            continue
        prefix = f"fidelity.{row.cut}.{row.name}"
        for level, one in zip(LEVELS, row.bytes_at, strict=True):
            found[f"{prefix}.bytes_at_kl_{_digits(level)}"] = one.value
        found[f"{prefix}.bd_rate_jpeg"] = row.bd_anchor.value
        found[f"{prefix}.bd_rate_best"] = row.bd_best.value
        found[f"{prefix}.edge_ms"] = row.edge_ms
        found[f"{prefix}.decode_ms"] = row.decode_ms
    return {name: round(value, 3) for name, value in found.items() if isfinite(value)}


def _digits(level: float) -> str:
    return f"{1000 * level:03.0f}"


def _listed(one: Interval) -> list[float | None]:
    return [round(value, 2) if isfinite(value) else None for value in (one.value, one.low, one.high)]
