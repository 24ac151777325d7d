"""The whole measurement, with progress."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from benchmarks.fidelity.network import Network
from benchmarks.privacy import photos
from benchmarks.privacy.attack import Effort, Leak, Quality, Subjects, attack, judge
from benchmarks.privacy.baselines import FORMATS, ladders, mean_photo
from benchmarks.privacy.codecs import Codec, Wire
from splitnet.runtime import Array


@dataclass(frozen=True)
class Found:
    """`references`: the crop itself at 112x112 and the mean photo; `seen`: of `shown`, by figure of the
    leak; `lacking`: what could not be measured."""

    leaks: Sequence[Leak]
    references: Mapping[str, Quality]
    shown: Sequence[Array]
    seen: Mapping[str, Sequence[Array]]
    lacking: Sequence[str]


def run(
    network: Network,
    paths: Sequence[Path],
    cuts: Sequence[str],
    codecs: Sequence[Codec],
    profiles: Path,
    effort: Effort,
    seed: int,
    keep: Path,
) -> Found:
    """Attack every cut. Raises UsageError, ImageError, BundleError, ModelError."""
    wires = {cut: Wire(network, cut, codecs, profiles) for cut in cuts}
    spec = network.bundle.manifest.image_input
    columns = (TextColumn("{task.description:<34}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, transient=True, refresh_per_second=2) as progress:
        bar = progress.add_task("photos", total=_work(len(paths), len(cuts), len(codecs), effort))

        def advance(what: str) -> None:
            progress.update(bar, advance=1, description=what)

        split = photos.split(paths, spec, effort.views, seed, lambda: advance("photos"))
        small = [photos.small(one) for one in split.tests]
        top1 = [int(network.unsplit(one).log_p.argmax()) for one in split.tests]
        files = ladders(small, lambda: advance("image files"))
        subjects = Subjects(split.views, split.centres, split.tests, photos.shown(spec), top1, files)
        guess = mean_photo(np.stack([photos.small(one).transpose(2, 0, 1) for one in split.views[: split.centres]]))
        references = {
            "crop_at_112": judge(network, subjects, small),
            "mean_photo": judge(network, subjects, [guess] * len(small)),
        }
        leaks: list[Leak] = []
        seen: dict[str, Sequence[Array]] = {}
        for cut, wire in wires.items():
            some, pictures = attack(network, wire, cut, subjects, effort, seed, keep, advance)
            leaks += some
            seen |= pictures
    return Found(leaks, references, subjects.shown, seen, [wire.lacking for wire in wires.values() if wire.lacking])


def _work(count: int, cuts: int, codecs: int, effort: Effort) -> int:
    """Calls of `advance` to come, for the bar."""
    tests = len(range(0, count, photos.FOLDS))
    learned = count - tests
    each = learned * effort.views + effort.steps + codecs + 2 * learned + effort.adapting + 1
    return count + tests * len(FORMATS) + cuts * each
