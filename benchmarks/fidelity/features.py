"""Features as featcodec's frames: uniform quantisers with general and own coders, and Cohen and Bajic's clipping."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import featcodec
from benchmarks.fidelity.methods import AnyMethod, Missing
from splitnet.runtime import Array

BITS = tuple(str(bits) for bits in range(2, 9))
LEVELS = ("2", "3", "4", "5", "6", "8", "10", "16", "32")
FAMILIES = (
    ("affine_zstd", "affine, zstd 19", "affine:bits={}|zstd:level=19", BITS),
    ("affine_lzma", "affine, lzma 9", "affine:bits={}|lzma:preset=9", BITS),
    ("affine_ctx", "affine, ctx", "affine:bits={}|ctx", BITS),
    ("clip_rans", "clip, rans", "clip:levels={}|rans", LEVELS),
    ("clip_ctx", "clip, ctx", "clip:levels={}|ctx", LEVELS),
)
"""Name, label, spec with a place for the setting, settings. Of `clip`: R. A. Cohen, H. Choi and I. V. Bajic,
*Lightweight compression of intermediate neural network features for collaborative intelligence* (2021)."""


@cache
def sources(calibrated: bool = False) -> str:
    """A digest of featcodec's own code: no measurement survives a change of what it ran.

    That is all but its command, its helpers for tests and, unless `calibrated`, what only a codec with a profile runs.
    """
    folder = Path(featcodec.__file__).parent
    left_out = ["cli.py", "testing/*"] + ([] if calibrated else ["profile*.py", "quantisers/transform.py"])
    found = hashlib.sha256()
    for path in sorted([*folder.rglob("*.py"), *folder.rglob("*.cpp"), *folder.rglob("*.h")]):
        if not any(path.relative_to(folder).match(pattern) for pattern in left_out):
            found.update(path.read_bytes())
    return found.hexdigest()[:16]


@dataclass(frozen=True)
class Frames:
    """Whole frames of a spec of featcodec that needs no profile."""

    name: str
    label: str
    spec: str
    settings: Sequence[str]
    group: str = "feature"
    identity: str = field(default_factory=lambda: f"featcodec {sources()}")

    def encode(self, array: Array, setting: str, row: int) -> bytes:
        """The frame."""
        return featcodec.encode(array, self.spec.format(setting))

    def decode(self, data: bytes, setting: str, row: int) -> Array:
        """Features."""
        return featcodec.decode(data)


def methods() -> Iterator[AnyMethod]:
    """Every family; one whose stages are not there says so."""
    for name, label, spec, settings in FAMILIES:
        try:
            featcodec.parse_spec(spec.format(settings[0]))
        except featcodec.FeatcodecError as error:
            yield Missing(name, label, "feature", str(error))
        else:
            yield Frames(name, label, spec, settings)
