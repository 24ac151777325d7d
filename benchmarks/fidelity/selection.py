"""Per image format: which speed and chroma format it is measured with.

On a few photos every variant is tried at a few settings; those that take longer than a second a photo are out, and of
the others the two with the fewest bytes at KL 0.04 are measured on all photos. The better of the two then stands for
its format. A few photos say little about KL, hence two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite, nan
from typing import Any

import numpy as np

from benchmarks.fidelity.curves import bytes_at
from benchmarks.fidelity.measure import Store
from benchmarks.fidelity.methods import AnyMethod, Missing, PhotoMethod, StreamMethod, coded
from benchmarks.fidelity.network import Subject

PHOTOS = 24
LEVEL = 0.04
SECONDS = 1.0
VIDEO_SECONDS = 0.25
"""Less for video, so that a run with several cuts ends: VVC's slower presets take up to a second for a few percent."""
KEPT = 2


@dataclass(frozen=True, slots=True)
class Trial:
    """One variant.

    Seconds a photo, bytes at KL 0.04 (NaN where not reached, or not tried because far too slow), whether it was kept.
    """

    name: str
    label: str
    seconds: float
    size: float
    kept: bool = False

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            key: None if isinstance(value, float) and not isfinite(value) else value
            for key, value in asdict(self).items()
        }


def select(
    variants: Sequence[AnyMethod],
    subject: Subject,
    store: Store,
    trial: Mapping[str, Sequence[str]],
    limit: float,
    step: Callable[[str], object],
) -> tuple[list[AnyMethod], list[Trial]]:
    """The variants to measure, and what was tried. `trial` has the settings to try by name of format, `limit` is in
    seconds a photo.
    """
    kept: list[AnyMethod] = [one for one in variants if isinstance(one, Missing)]
    trials: list[Trial] = []
    for name in dict.fromkeys(one.name for one in variants):
        candidates = [one for one in variants if one.name == name and not isinstance(one, Missing)]
        found = []
        for one in candidates:
            found.append(_try(one, subject, store, trial[name], limit))
            step(one.label)
        places = [place for place, one in enumerate(found) if isfinite(one.size) and one.seconds <= limit]
        places.sort(key=lambda place: found[place].size)
        chosen = sorted(places[:KEPT])
        kept += [candidates[place] for place in chosen]
        trials += [
            Trial(one.name, one.label, one.seconds, one.size, place in chosen) for place, one in enumerate(found)
        ]
    return kept, trials


def _try(
    method: PhotoMethod | StreamMethod, subject: Subject, store: Store, settings: Sequence[str], limit: float
) -> Trial:
    if not isinstance(method, StreamMethod):
        # The middle setting of three photos says whether a variant is far too slow to be tried on all.
        first = list(coded(method, subject.arrays[:3], subject.rows[:3], settings[len(settings) // 2]))
        seconds = float(np.mean([one.encode_ms for one in first])) / 1000
        if seconds > 1.2 * limit:
            return Trial(method.name, method.label, seconds, nan)
    points = [store.point(method, setting, subject, lambda: None) for setting in settings]
    seconds = max(float(point.encode_ms.mean()) for point in points) / 1000
    size = bytes_at(np.array([p.size.mean() for p in points]), np.array([p.kl.mean() for p in points]), LEVEL)
    return Trial(method.name, method.label, seconds, size)
