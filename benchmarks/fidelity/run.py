"""The whole measurement: which methods, on which cuts, with progress."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.fidelity import features, images, selection, video
from benchmarks.fidelity.measure import Store
from benchmarks.fidelity.methods import AnyMethod, Missing
from benchmarks.fidelity.network import Network, Subject
from benchmarks.fidelity.photos import Crops
from benchmarks.fidelity.results import Curve
from benchmarks.fidelity.selection import Trial
from splitnet.errors import UsageError

DEFAULTS = frozenset(
    ("JPEG 4:4:4", "WebP method 6", "AVIF speed 6 4:4:4", "JPEG XL effort 7", "x265 medium", "VVC faster")
)
"""Variants measured where none are compared: a short run."""

MethodsOf = Callable[[str], Sequence[AnyMethod]]
"""More methods for a cut: how a calibrated codec joins."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to measure: cuts; names of methods, all when empty; whether the defaults do without comparing variants."""

    cuts: tuple[str, ...]
    only: Collection[str] = ()
    short: bool = False

    def of(self, methods: Sequence[AnyMethod]) -> list[AnyMethod]:
        """Those that were asked for."""
        named = [one for one in methods if not self.only or one.name in self.only]
        return [one for one in named if isinstance(one, Missing) or one.label in DEFAULTS] if self.short else named

    def any(self, names: Collection[str]) -> bool:
        """Whether one of these names was asked for."""
        return not self.only or any(name in self.only for name in names)

    def check(self, methods: Sequence[AnyMethod]) -> None:
        """Raises UsageError for a name that no method has."""
        known = list(dict.fromkeys(one.name for one in methods))
        for name in self.only:
            if name not in known:
                raise UsageError(f"--only {name!r}: no such method; there are: {', '.join(known)}")


def run(
    network: Network, crops: Crops, wanted: Wanted, store: Store, more: MethodsOf = lambda cut: ()
) -> tuple[dict[str, list[Curve]], list[Trial]]:
    """Curves by cut, and what was tried of each format. Image files are the same for every cut and measured once.

    Raises
    ------
    UsageError, BundleError, ModelError, OutputError
    """
    pixels = network.pixels(crops)
    parts = [crops.subset(count) for count in selection.PHOTOS]
    part_pixels = [network.pixels(part) for part in parts]
    methods, trials = _variants(list(images.variants()), part_pixels, wanted, store, images.TRIAL, selection.SECONDS)
    pictures = _curves(methods, pixels, store)
    found = {}
    for cut in wanted.cuts:
        subject = network.features(cut, crops, pixels.references)
        part_features = [
            network.features(cut, part, one.references) for part, one in zip(parts, part_pixels, strict=True)
        ]
        videos, tried = _variants(
            list(video.variants()), part_features, wanted, store, video.TRIAL, selection.VIDEO_SECONDS
        )
        trials += tried
        others = [one for one in (*features.methods(), *more(cut)) if not wanted.only or one.name in wanted.only]
        found[cut] = [*pictures, *_curves([*others, *videos], subject, store)]
    return found, trials


def _variants(
    variants: list[AnyMethod],
    parts: Sequence[Subject],
    wanted: Wanted,
    store: Store,
    trial: Mapping[str, Sequence[str]],
    seconds: float,
) -> tuple[list[AnyMethod], list[Trial]]:
    asked = wanted.of(variants)
    if wanted.short or not asked:
        return asked, []
    with _bar(len(asked) + selection.FINALISTS * len({one.name for one in asked}), "variants of formats") as step:
        return selection.select(asked, (parts[0], parts[1]), store, trial, seconds, step)


def _curves(methods: Sequence[AnyMethod], subject: Subject, store: Store) -> list[Curve]:
    curves = []
    with _bar(sum(len(one.settings) for one in methods) * len(subject.arrays), subject.name) as step:
        for method in methods:
            points = {}
            if not isinstance(method, Missing):
                for setting in method.settings:
                    shown = f"{subject.name} {method.label} {setting}"
                    points[setting] = store.point(method, setting, subject, partial(step, shown))
            curves.append(Curve(method, points, subject.edge_ms))
    return curves


@contextmanager
def _bar(total: int, name: str) -> Iterator[Callable[[str], object]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    # Few redraws: processor time is measured meanwhile.
    with Progress(*columns, transient=True, refresh_per_second=2) as progress:
        bar = progress.add_task(name.ljust(40), total=total)
        yield lambda shown: progress.update(bar, advance=1, description=shown[:40].ljust(40))
