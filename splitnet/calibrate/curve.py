"""The measured rate-fidelity curve of a cut: bytes of whole frames against what they cost each task."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

import featcodec
from splitnet.bundle.manifest import Cut, Task
from splitnet.calibrate.fidelity import measure_of
from splitnet.cloud.model import CloudModel

Array = np.ndarray[Any, np.dtype[Any]]

STEPS = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 3.0, 4.0)
"""The ladder, in standard deviations of the features."""

_BATCH = 25
_RESAMPLES = 1000


class Curve(BaseModel):
    """What was measured on photos that the profile in use had not been calibrated on.

    A row holds `step`, `bytes` of a whole frame, for every task `TASK.MEASURE` (see `splitnet.calibrate.fidelity`),
    each with the ends of its 95 % bootstrap interval as `..._low` and `..._high`, and for classification
    `TASK.agreement`, the share of photos with the same top-1 class. All are means over photos.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    cut: str
    codec: str
    method: Literal["fisher", "probing"]
    photos: int
    folds: int
    seed: int
    loss: str
    """The key of the first task's distortion: what the default step is chosen by."""
    rows: tuple[dict[str, float], ...]


@dataclass(frozen=True)
class Measured:
    """One step over N photos: bytes (N,), distortions and agreement (N,) by task, the answers (N, ...) by task."""

    bytes: Array
    distortions: Mapping[str, Array]
    agreement: Mapping[str, Array]


def reference_answers(model: CloudModel, cut: Cut, maps: Array) -> dict[str, Array]:
    """The tasks' outputs (N, ...) for untouched features (N, *cut.shape)."""
    parts: dict[str, list[Array]] = {name: [] for name in model.heads}
    for start in range(0, len(maps), _BATCH):
        shared = model.shared(cut, np.ascontiguousarray(maps[start : start + _BATCH]))
        for name, head in model.heads.items():
            parts[name].append(model.answer(head, shared))
    return {name: np.concatenate(found) for name, found in parts.items()}


def measure_step(
    model: CloudModel,
    cut: Cut,
    maps: Array,
    reference: Mapping[str, Array],
    profiles: Sequence[featcodec.TransformProfile],
    spec: featcodec.Spec,
) -> Measured:
    """Code every map with the profile of its fold (photo i: `profiles[i mod len(profiles)]`) and compare answers."""
    sizes = np.zeros(len(maps))
    answers: dict[str, list[Array]] = {name: [] for name in model.heads}
    known = {profile.fingerprint: profile for profile in profiles}
    for start in range(0, len(maps), _BATCH):
        decoded = []
        for index in range(start, min(start + _BATCH, len(maps))):
            profile = profiles[index % len(profiles)]
            frame = featcodec.encode(maps[index][None], spec, profile=profile)
            sizes[index] = len(frame)
            decoded.append(featcodec.decode(frame, profiles=known))
        for name, found in reference_answers(model, cut, np.concatenate(decoded)).items():
            answers[name].append(found)
    found_by_task = {name: np.concatenate(parts) for name, parts in answers.items()}
    distortions, agreement = {}, {}
    for name, answer in found_by_task.items():
        kind = model.heads[name].task.kind
        distortions[name] = measure_of(kind)[1](reference[name], answer)
        if kind == "classification":
            agreement[name] = (reference[name].argmax(1) == answer.argmax(1)).astype(float)
    return Measured(sizes, distortions, agreement)


def row(step: float, measured: Measured, tasks: Mapping[str, Task], seed: int) -> dict[str, float]:
    """One row of the curve."""
    found = {"step": step, **_interval("bytes", measured.bytes, seed)}
    for name, values in measured.distortions.items():
        found |= _interval(loss_key(tasks[name]), values, seed)
        if name in measured.agreement:
            found[f"{name}.agreement"] = _short(measured.agreement[name].mean())
    return found


def loss_key(task: Task) -> str:
    """The key of a task's distortion in a row."""
    return f"{task.name}.{measure_of(task.kind)[0]}"


def default_step(curve: Curve, fidelity: float) -> float:
    """The largest step of the curve whose mean distortion of the first task is at most `fidelity`; the smallest step
    where there is none.
    """
    good = [one["step"] for one in curve.rows if one[curve.loss] <= fidelity]
    return max(good, default=min(one["step"] for one in curve.rows))


def _interval(key: str, values: Array, seed: int) -> dict[str, float]:
    """Mean of values (N,) and the 2.5 and 97.5 percentiles of the means of 1,000 resamples with replacement."""
    generator = np.random.default_rng(seed)
    means = values[generator.integers(0, len(values), (_RESAMPLES, len(values)))].mean(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return {key: _short(values.mean()), f"{key}_low": _short(low), f"{key}_high": _short(high)}


def _short(value: float) -> float:
    return float(f"{value:.6g}")


def measure_curve(
    model: CloudModel,
    cut: Cut,
    maps: Array,
    reference: Mapping[str, Array],
    profiles: Sequence[featcodec.TransformProfile],
    seed: int,
    advance: Callable[[], None],
    steps: Sequence[float] = STEPS,
) -> tuple[dict[str, float], ...]:
    """The rows of the curve; `advance` is called after each."""
    tasks = {name: head.task for name, head in model.heads.items()}
    rows = []
    for step in steps:
        spec = featcodec.parse_spec(f"transform:step={step:g}|rans")
        measured = measure_step(model, cut, maps, reference, profiles, spec)
        rows.append(row(step, measured, tasks, seed))
        advance()
    return tuple(rows)
