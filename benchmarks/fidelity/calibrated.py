"""Our calibrated codec: every photo coded with a profile that was calibrated without it, or with the shipped one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

import featcodec
from benchmarks.fidelity.features import sources
from benchmarks.fidelity.methods import AnyMethod, Missing
from splitnet.bundle import Bundle
from splitnet.bundle.profiles import check_profile
from splitnet.errors import UsageError
from splitnet.models.shipped import shipped_profiles
from splitnet.runtime import Array

if TYPE_CHECKING:
    from splitnet.calibrate.calibration import Calibrated, Method

STEPS = ("6", "4", "3", "2.5", "2.25", "2", "1.75", "1.5", "1.25", "1", "0.75")
FAMILIES = (
    ("transform", "ours: transform, rans", "transform:step={}|rans"),
    ("transform_order0", "ours: transform, rans of order 0", "transform:step={}|rans:context=0"),
)
"""Name, label, spec with a place for the step. Of order 0: the coder's tables without contexts."""
NAMES = tuple(name for name, _, _ in FAMILIES)
CROSSFIT_FROM = 100
"""Photos from which on profiles are cross-fitted: with fewer, what is calibrated on the rest says little."""


@dataclass(frozen=True)
class Transform:
    """Whole frames of the calibrated codec; photo i takes `profiles[i mod len(profiles)]`. A setting is a step."""

    name: str
    label: str
    spec: str
    profiles: Sequence[featcodec.TransformProfile]
    settings: Sequence[str] = STEPS
    group: str = "ours"
    known: Mapping[bytes, featcodec.TransformProfile] = field(init=False)
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        known = {profile.fingerprint: profile for profile in self.profiles}
        object.__setattr__(self, "known", known)
        marks = " ".join(profile.fingerprint.hex() for profile in self.profiles)
        object.__setattr__(self, "identity", f"featcodec {sources(calibrated=True)} {self.spec} {marks}")

    def encode(self, array: Array, setting: str, row: int) -> bytes:
        """The frame."""
        return featcodec.encode(array, self.spec.format(setting), profile=self.profiles[row % len(self.profiles)])

    def decode(self, data: bytes, setting: str, row: int) -> Array:
        """Features: coefficients and their synthesis."""
        return featcodec.decode(data, profiles=self.known)


def methods(profiles: Sequence[featcodec.TransformProfile], why: str = "") -> list[AnyMethod]:
    """Every family with these profiles; without any, rows that say `why`."""
    if not profiles:
        return [Missing(name, label, "ours", why) for name, label, _ in FAMILIES]
    return [Transform(name, label, spec, profiles) for name, label, spec in FAMILIES]


def methods_for(bundle: Bundle, cut: str, photos: Sequence[Path], work: Path) -> list[AnyMethod]:
    """With cross-fitted profiles where there are enough photos, else with the shipped one.

    Raises
    ------
    UsageError, ModelError, ImageError, OutputError
        as a calibration does.
    """
    if len(photos) >= CROSSFIT_FROM:
        return methods(crossfit(bundle, cut, photos, work))
    profile = shipped(bundle, cut)
    why = f"needs --data with {CROSSFIT_FROM} photos"
    return methods([profile] if profile else [], why)


def crossfit(bundle: Bundle, cut: str, photos: Sequence[Path], work: Path) -> tuple[featcodec.TransformProfile, ...]:
    """Profiles of which the one at i mod 5 never saw photo i. Raises as above."""
    return calibrate(bundle, cut, photos, work).crossfit


def calibrate(
    bundle: Bundle, cut: str, photos: Sequence[Path], work: Path, draws: int = 4, method: Method = "fisher"
) -> Calibrated:
    """Profiles of photos, with progress; a run that was interrupted goes on. Raises as above."""
    # torch is imported where profiles are made, not where the other rows are.
    from splitnet.calibrate.calibration import CutCalibration, Settings

    # No steps: the curve is what this benchmark measures itself.
    settings = Settings(method=method, draws=draws, steps=())
    with _bar(cut) as advance:
        return CutCalibration(bundle, cut, photos, settings, work, advance).run()


def shipped(bundle: Bundle, cut: str) -> featcodec.TransformProfile | None:
    """The profile that comes with the project, if it has one for this network and cut. Raises UsageError."""
    found = shipped_profiles(bundle.manifest.name).get(cut)
    if found is None:
        return None
    try:
        profile = featcodec.load_profile(found.profile)
        check_profile(profile, bundle.manifest, bundle.cut(cut))
    except featcodec.FeatcodecError as error:
        raise UsageError(f"the shipped profile for {cut} cannot be used: {error}") from error
    return profile


@contextmanager
def _bar(name: str) -> Iterator[Callable[[str, int, int], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, transient=True) as progress:
        bar = progress.add_task(name.ljust(40), total=None)

        def advance(what: str, done: int, total: int) -> None:
            shown = f"{name}: {what}"[:40].ljust(40)
            progress.update(bar, completed=done, total=total, description=shown)

        yield advance
