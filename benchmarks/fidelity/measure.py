"""Measure a method at a setting over all photos, and keep what was measured for the next run."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from benchmarks.fidelity.curves import Interval, bootstrap
from benchmarks.fidelity.methods import PhotoMethod, StreamMethod, coded
from benchmarks.fidelity.network import Subject, judge
from splitnet.errors import OutputError
from splitnet.runtime import Array

Step = Callable[[], object]
"""Called after each photo."""


@dataclass(frozen=True, slots=True, eq=False)
class Point:
    """One method at one setting: arrays of one value a photo. Bytes are whole files or frames, KL is in nats."""

    size: Array
    kl: Array
    agree: Array
    cosine: Array
    top1: Array
    encode_ms: Array
    decode_ms: Array

    def interval(self, what: str, weights: Array) -> Interval:
        """The mean of one of the arrays, with its interval over `weights` (see `curves.resamples`)."""
        values = getattr(self, what)
        return bootstrap(weights, lambda row: float(row @ values))

    def median(self, what: str) -> float:
        """Of one of the arrays."""
        return float(np.median(getattr(self, what)))


class Store:
    """A folder of measurements, one file each, named for everything that they depend on."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def point(self, method: PhotoMethod | StreamMethod, setting: str, subject: Subject, step: Step) -> Point:
        """From the folder, or measured now. Raises OutputError."""
        path = self.folder / f"{method.name}-{key(method, setting, subject)}.npz"
        found = _read(path, len(subject.arrays))
        if found is not None:
            for _ in subject.arrays:
                step()
            return found
        point = measure(method, setting, subject, step)
        _write(path, point)
        return point


def key(method: PhotoMethod | StreamMethod, setting: str, subject: Subject) -> str:
    """Of a measurement: method, setting, photos, network; 24 hexadecimal digits."""
    parts = [subject.name, subject.digest, method.label, method.identity, setting]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def measure(method: PhotoMethod | StreamMethod, setting: str, subject: Subject, step: Step) -> Point:
    """Code every photo, answer from what came out, compare with the unsplit network's answer."""
    rows: list[tuple[float, ...]] = []
    coding = coded(method, subject.arrays, subject.rows, setting)
    for one, reference in zip(coding, subject.references, strict=True):
        found = judge(reference, subject.answer(one.array))
        rows.append((one.size, found.kl, found.agree, found.cosine, found.top1, one.encode_ms, one.decode_ms))
        step()
    return Point(*np.array(rows, np.float64).T)


def _read(path: Path, photos: int) -> Point | None:
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as found:
            arrays: list[Any] = [found[one.name] for one in fields(Point)]
    except (OSError, ValueError, KeyError, EOFError, BadZipFile):
        return None
    return Point(*arrays) if all(one.shape == (photos,) for one in arrays) else None


def _write(path: Path, point: Point) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, **{one.name: getattr(point, one.name) for one in fields(Point)})
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(buffer.getvalue())
        temporary.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
