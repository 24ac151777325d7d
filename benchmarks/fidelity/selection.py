"""Per format: with which speed and chroma format (or preset) it is measured.

Every variant is tried at a few settings on a few photos; those that take longer than a limit (a second a photo for
images) are out. The three with the fewest bytes at KL 0.04 are tried on more photos, because KL is heavy-tailed and
few photos tell ten percent more from ten percent less badly. Of these, those within two percent of the fewest are as
good as equal; the fastest of them is measured on all photos.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from math import isfinite, nan
from typing import Any

import numpy as np

from benchmarks.fidelity.curves import bytes_at
from benchmarks.fidelity.measure import Store
from benchmarks.fidelity.methods import AnyMethod, Missing, PhotoMethod, StreamMethod, coded
from benchmarks.fidelity.network import Subject

PHOTOS = (24, 72)
FINALISTS = 3
LEVEL = 0.04
EQUAL = 1.02
SECONDS = 1.0
VIDEO_SECONDS = 0.15
"""Less for video, so that a run with several cuts ends: VVC's slower presets take up to a second for a few percent."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One variant.

    Seconds a photo; bytes at KL 0.04 on few and on more photos (NaN where not reached, or not tried); whether it is the
    one that was measured on all.
    """

    cut: str
    name: str
    label: str
    seconds: float
    few: float
    more: float = nan
    chosen: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        found = asdict(self)
        return {
            key: None if isinstance(value, float) and not isfinite(value) else value for key, value in found.items()
        }


def select(
    variants: Sequence[AnyMethod],
    subjects: tuple[Subject, Subject],
    store: Store,
    trial: Mapping[str, Sequence[str]],
    limit: float,
    step: Callable[[str], object],
) -> tuple[list[AnyMethod], list[Trial]]:
    """The variant of each format to measure, and what was tried.

    `subjects` are few and more photos, `trial` has the settings to try by name of format, `limit` is in seconds a
    photo. Where none reaches KL 0.04 within the limit, the fastest is chosen.
    """
    chosen: list[AnyMethod] = [one for one in variants if isinstance(one, Missing)]
    trials: list[Trial] = []
    few, more = subjects
    for name in dict.fromkeys(one.name for one in variants):
        candidates = {one.label: one for one in variants if one.name == name and not isinstance(one, Missing)}
        found: dict[str, Trial] = {}
        for label, one in candidates.items():
            found[label] = _try(one, few, store, trial[name], limit)
            step(label)
        for label in _finalists(found.values(), limit):
            found[label] = replace(found[label], more=_size(candidates[label], more, store, trial[name])[0])
            step(label)
        best = _best(found.values())
        if best:
            found[best] = replace(found[best], chosen=True)
            chosen.append(candidates[best])
        trials += found.values()
    return chosen, trials


def _finalists(trials: Collection[Trial], limit: float) -> list[str]:
    within = [one for one in trials if isfinite(one.few) and one.seconds <= limit]
    return [one.label for one in sorted(within, key=lambda one: one.few)[:FINALISTS]]


def _best(trials: Collection[Trial]) -> str:
    measured = [one for one in trials if isfinite(one.more)]
    if not measured:
        return min(trials, key=lambda one: one.seconds).label if trials else ""
    fewest = min(one.more for one in measured)
    return min((one for one in measured if one.more <= EQUAL * fewest), key=lambda one: one.seconds).label


def _try(
    method: PhotoMethod | StreamMethod, subject: Subject, store: Store, settings: Sequence[str], limit: float
) -> Trial:
    if not isinstance(method, StreamMethod):
        # The middle setting of three photos says whether a variant is far too slow to be tried on all.
        first = list(coded(method, subject.arrays[:3], subject.rows[:3], settings[len(settings) // 2]))
        seconds = float(np.mean([one.encode_ms for one in first])) / 1000
        if seconds > 1.2 * limit:
            return Trial(subject.name, method.name, method.label, seconds, nan)
    size, seconds = _size(method, subject, store, settings)
    return Trial(subject.name, method.name, method.label, seconds, size)


def _size(
    method: PhotoMethod | StreamMethod, subject: Subject, store: Store, settings: Sequence[str]
) -> tuple[float, float]:
    """Bytes at KL 0.04, and the mean seconds a photo of the slowest setting."""
    points = [store.point(method, setting, subject, lambda: None) for setting in settings]
    seconds = max(float(point.encode_ms.mean()) for point in points) / 1000
    sizes, divergences = (np.array([getattr(point, what).mean() for point in points]) for what in ("size", "kl"))
    return bytes_at(sizes, divergences, LEVEL), seconds
