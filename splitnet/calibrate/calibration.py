"""Calibrate one cut: photos -> features -> moments -> profiles -> measured curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

import featcodec
from splitnet.bundle import Bundle
from splitnet.bundle.manifest import Cut, Task
from splitnet.calibrate.curve import STEPS, Curve, loss_key, measure_curve, reference_answers
from splitnet.calibrate.fidelity import measure_of
from splitnet.calibrate.geometry import Geometry, geometry
from splitnet.calibrate.moments import Moments
from splitnet.calibrate.photos import Advance, Distinct, load_inputs
from splitnet.calibrate.probing import probe
from splitnet.calibrate.solve import RIDGE, solve
from splitnet.calibrate.state import State
from splitnet.calibrate.statistics import COUNTED, POINT_SHARE, POINTS, RADIUS, TABLES, profile_of
from splitnet.cloud.model import CloudModel
from splitnet.errors import ModelError, UsageError
from splitnet.files import write_whole
from splitnet.models.zoo import ZOO
from splitnet.runtime.bundled import load_graph

Array = np.ndarray[Any, np.dtype[Any]]
Method = Literal["fisher", "probing"]

_BATCH = 10
_PROBED = 8
_COUNTED_VALUES = 16_000_000
"""Coefficients whose symbols are counted, at most: with more, memory and time grow and the tables stay."""


WEIGHTS = {"classification": 1.0, "embedding": 0.5, "tensor": 1.0}
"""What a distortion counts by the kind of task, others 1. A cosine distance of 0.03 is as small a loss as KL 0.045."""


@dataclass(frozen=True)
class Settings:
    """What a person can choose.

    `weights` multiply the tasks' distortions (where absent `WEIGHTS` of their kind; 0 leaves a task out); `draws`
    gradients are taken for each photo.
    """

    method: Method = "fisher"
    folds: int = 5
    draws: int = 4
    seed: int = 0
    steps: tuple[float, ...] = STEPS
    weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Calibrated:
    """`profile` is of all photos, `crossfit[k]` of all but fold k (photo i is of fold i mod K)."""

    profile: featcodec.TransformProfile
    crossfit: tuple[featcodec.TransformProfile, ...]
    curve: Curve


class CutCalibration:
    """One cut of one bundle on some photos; `run` does everything, what is kept in `work` it does not do again.

    Raises
    ------
    UsageError
        for an unknown cut or task, a method the network does not allow, or too few photos that differ.
    ModelError
        for a network whose operators are too old for a transform.
    """

    def __init__(
        self,
        bundle: Bundle,
        cut: str,
        photos: Sequence[Path],
        settings: Settings,
        work: Path,
        advance: Advance = lambda what, done, total: None,
    ) -> None:
        self.bundle, self.cut, self.photos, self.settings = bundle, bundle.cut(cut), photos, settings
        self._tasks = _weighted(bundle, settings.weights)
        if settings.method == "fisher" and bundle.manifest.name not in ZOO:
            raise UsageError(f"{bundle.manifest.name} has no gradients (it is not in the zoo): use --method probing")
        self._advance, self._layout = advance, _layout(self.cut)
        _check_graph(bundle, self.cut)
        self._state = State(work / self.cut.name, self._facts())
        self._folds = np.arange(len(photos)) % settings.folds

    def run(self) -> Calibrated:
        """Calibrate.

        Raises ImageError or SampleError for an unreadable input, ModelError where features or gradients are no use.
        """
        maps = self._features()
        model = CloudModel(self.bundle, threads=2)
        reference = reference_answers(model, self.cut, maps)
        moments = self._moments(maps)
        everything = np.arange(self.settings.folds)
        profiles: list[featcodec.TransformProfile] = []
        for fold in (*everything, None):
            used = everything if fold is None else everything[everything != fold]
            profiles.append(self._profile(model, maps, reference, moments, used, len(profiles)))
        rows = measure_curve(
            model,
            self.cut,
            maps,
            reference,
            profiles[:-1],
            self.settings.seed,
            self._counter("measuring the curve", len(self.settings.steps)),
            self.settings.steps,
        )
        curve = Curve(
            cut=self.cut.name,
            codec="transform|rans",
            method=self.settings.method,
            photos=len(self.photos),
            folds=self.settings.folds,
            seed=self.settings.seed,
            loss=loss_key(self._tasks[0][0]),
            rows=rows,
        )
        return Calibrated(profiles[-1], tuple(profiles[:-1]), curve)

    def clean(self) -> None:
        """Remove what was kept."""
        self._state.remove()

    def _facts(self) -> dict[str, object]:
        manifest = self.bundle.manifest
        settings = asdict(self.settings)
        # The curve is measured anew each time: another ladder keeps the gradients and the profiles.
        del settings["steps"]
        # What was not chosen counts too: other defaults make other profiles.
        settings["weights"] = {task.name: weight for task, weight in self._tasks}
        return {
            "settings": settings,
            "constants": [RIDGE, POINT_SHARE, TABLES, RADIUS, POINTS, COUNTED],
            "network": [manifest.name, manifest.version, manifest.source, manifest.input.model_dump(mode="json")],
            "cut": self.cut.name,
            "photos": [[photo.name, photo.stat().st_size] for photo in self.photos],
        }

    def _features(self) -> Array:
        kept = self._state.load("features.npy")
        if kept is not None:
            return kept
        assert self.cut.edge is not None
        graph = load_graph(self.bundle, self.cut.edge, threads=2)
        spec, distinct = self.bundle.manifest.input, Distinct()
        maps = np.empty((len(self.photos), *self.cut.shape), np.float32)
        for start in range(0, len(maps), _BATCH):
            chosen = self.photos[start : start + _BATCH]
            inputs = load_inputs(chosen, spec)
            distinct.add(inputs)
            for index, one in enumerate(inputs):
                maps[start + index] = graph.run({graph.inputs[0].name: one[None]})[0][0]
            self._advance("running the first layers", start + len(chosen), len(maps))
        distinct.check(len(maps), self.settings.folds)
        if not np.isfinite(maps).all():
            worst = self.photos[int(np.flatnonzero(~np.isfinite(maps).reshape(len(maps), -1).all(1))[0])]
            raise ModelError(f"{worst}: the features at {self.cut.name} are not finite (NaN or infinity)")
        self._state.keep("features.npy", maps)
        return maps

    def _moments(self, maps: Array) -> Moments:
        moments, path = Moments.empty(self._layout, self.settings.folds), self._state.path("moments.npz")
        starts = range(0, len(maps), _BATCH)
        done = moments.restore(path)
        source = None
        if self.settings.method == "fisher" and done < len(starts):
            from splitnet.calibrate.fisher import Gradients

            source = Gradients(
                self.bundle.manifest.name, self.cut.name, self._tasks, float(maps.std()), self.settings.seed
            )
        for number, start in enumerate(starts):
            if number < done:
                continue
            chosen, folds = maps[start : start + _BATCH], self._folds[start : start + _BATCH]
            moments.add_features(self._layout, chosen, folds)
            if source is not None:
                for gradient in source.draw(chosen, number, self.settings.draws):
                    moments.add_gradients(self._layout, gradient, folds)
            if number % 5 == 4 or number == len(starts) - 1:
                moments.save(path, number + 1)
            self._advance("taking gradients" if source else "covariances", number + 1, len(starts))
        return moments

    def _profile(
        self,
        model: CloudModel,
        maps: Array,
        reference: Mapping[str, Array],
        moments: Moments,
        folds: Array,
        number: int,
    ) -> featcodec.TransformProfile:
        name = f"profile{number}.safetensors"
        if self._state.path(name).exists():
            return featcodec.load_profile(self._state.path(name))
        chosen = np.flatnonzero(np.isin(self._folds, folds))
        covariances = moments.covariances(folds)
        if self.settings.method == "fisher":
            sensitivities = moments.sensitivities(folds)
        else:
            sensitivities = self._probe(model, maps, reference, covariances, chosen, number)
        transform = solve(self._layout, moments.mean(folds), covariances, sensitivities)
        counted = chosen[:: -(-len(chosen) * self.cut.values // _COUNTED_VALUES)]
        profile = profile_of(
            self._layout,
            transform,
            transform.coefficients(self._layout, np.asarray(maps[counted])),
            self._metadata(len(chosen)),
            self.settings.seed,
            self._counter(f"profile {number + 1} of {self.settings.folds + 1}", len(COUNTED)),
        )
        write_whole(self._state.path(name), lambda stream: stream.write(profile.to_bytes()))
        return profile

    def _probe(
        self,
        model: CloudModel,
        maps: Array,
        reference: Mapping[str, Array],
        covariances: Array,
        chosen: Array,
        number: int,
    ) -> Array:
        photos = np.random.default_rng(self.settings.seed).permutation(chosen)[:_PROBED]

        def distortion(noisy: Array, numbers: Array) -> Array:
            answers = reference_answers(model, self.cut, noisy)
            found = np.zeros(len(noisy))
            for task, weight in self._tasks:
                measure = measure_of(task.kind)[1]
                found += weight * measure(reference[task.name][photos[numbers]], answers[task.name])
            return found

        total = covariances.shape[0] * covariances.shape[1]
        label = f"probing {number + 1} of {self.settings.folds + 1}"
        advance = self._counter(label, total)
        return probe(self._layout, covariances, np.asarray(maps[photos]), distortion, self.settings.seed, advance)

    def _metadata(self, photos: int) -> dict[str, str]:
        manifest = self.bundle.manifest
        return {
            "network": manifest.name,
            "network_version": manifest.version,
            "source": manifest.source,
            "cut": self.cut.name,
            "method": self.settings.method,
            "photos": str(photos),
            "seed": str(self.settings.seed),
            "tasks": ",".join(f"{task.name}={weight:g}" for task, weight in self._tasks),
        }

    def _counter(self, what: str, total: int) -> Any:
        done = 0

        def count() -> None:
            nonlocal done
            done += 1
            self._advance(what, done, total)

        return count


def _weighted(bundle: Bundle, weights: Mapping[str, float]) -> tuple[tuple[Task, float], ...]:
    for name, weight in weights.items():
        bundle.task(name)
        if not (np.isfinite(weight) and weight >= 0):
            raise UsageError(f"the weight of task {name!r} is {weight:g}; give a number from 0 up")
    asked = ((task, weights.get(task.name, WEIGHTS.get(task.kind, 1.0))) for task in bundle.manifest.tasks)
    found = tuple((task, weight) for task, weight in asked if weight > 0)
    if not found:
        raise UsageError("every task has the weight 0: at least one must count")
    return found


def _check_graph(bundle: Bundle, cut: Cut) -> None:
    """Before minutes of work, and not after them."""
    import onnx

    from splitnet.graph.transform import check_opset

    assert cut.cloud is not None
    check_opset(onnx.load_from_string(bundle.open_bytes(cut.cloud)))


def _layout(cut: Cut) -> Geometry:
    if cut.more:
        raise UsageError(f"cut {cut.name} has {len(cut.crossing)} tensors: a transform is for cuts of one")
    if len(cut.shape) not in (1, 3):
        raise UsageError(
            f"cut {cut.name} has the shape {cut.shape}; the transform is for feature maps (C, H, W) or vectors (C,)"
        )
    return geometry(cut.shape)
