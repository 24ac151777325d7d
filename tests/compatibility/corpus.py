"""Frames encoded and decoded: what every build and coder must get alike.

    python -m tests.compatibility.corpus digests OUT.json EXTENT    SHA-256 of every result
    python -m tests.compatibility.corpus record OUT.trace EXTENT    the kernel calls behind them

EXTENT: short; full; or references, which is full but for large maps in the coders that take minutes in Python.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

import featcodec
from featcodec.array_coders.rans import Rans
from featcodec.contract import Array
from featcodec.quantisers import transform
from featcodec.testing import (
    profile_specs,
    small_profile,
    small_profiles,
    stage_specs,
    synthetic_profile,
    synthetic_symbols,
)
from featcodec.testing.forge import small_frame
from featcodec.testing.hostile import changes, truncations
from tests.compatibility.trace import record

GOLDEN = Path(__file__).parents[1] / "golden" / "v1"
Result = tuple[str, bytes]

FLOAT_SPECS = (
    "affine|raw",
    "affine:bits=3|rans",
    "affine:per=channel|rans",
    "affine:bits=12|rans",
    "affine|ctx",
    "affine:bits=4|ctx",
    "clip:levels=8|rans",
    "clip:levels=8|ctx",
    "none|floats",
    "float16|floats",
    "bfloat16|floats",
)
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
SMALL, LARGE = ((3, 5, 7), (8, 14, 14), (40, 1, 1)), ((80, 14, 14), (24, 56, 56), (2, 3, 40, 33))
PROFILES = {"blocks": (4, (6, 9), (3, 3), True), "vector": (16, (1, 1), (1, 1), False)}
# The second has so many symbols that four states of rans take turns; so does LARGE[1].
LARGE_PROFILES = {"lite0": (80, (14, 14), (14, 14), True), "many": (32, (56, 56), (7, 7), True)}


def results(extent: str) -> Iterator[Result]:
    """Name and bytes of every frame and of every decoded array."""
    full = extent != "short"
    yield from golden()
    for shape in SMALL + (LARGE if full else ()):
        slow = extent != "references" or shape in SMALL
        yield from floats(shape, [spec for spec in FLOAT_SPECS if slow or spec.endswith(("raw", "rans"))])
        yield from integers(shape, ("rans", "ctx") if slow else ("rans",))
    for name, given in (PROFILES | (LARGE_PROFILES if full else {})).items():
        yield from coefficients(name, *given)
    yield from broken(None if extent == "full" else 40)


def golden() -> Iterator[Result]:
    """Every golden frame decoded, and what it holds encoded again, in today's modes."""
    for name, entry in json.loads((GOLDEN / "manifest.json").read_text()).items():
        frame = (GOLDEN / f"{name}.fcf").read_bytes()
        if "profile" not in entry:
            yield from _both(f"golden/{name}", featcodec.decode(frame), entry["spec"], frame)
            continue
        profile = featcodec.load_profile(GOLDEN / f"{entry['profile']}.safetensors")
        decoded = featcodec.decode_coefficients(frame, profiles={profile.fingerprint: profile})
        yield f"golden/{name}/decoded", decoded.tobytes()


def floats(shape: tuple[int, ...], specs: Iterable[str]) -> Iterator[Result]:
    """Feature maps, smooth and rough, with zeros, at usual and at denormal magnitudes."""
    random = np.random.default_rng(shape)
    maps = random.standard_normal(shape, np.float32).cumsum(-1).cumsum(-2)
    for kind, array in {
        "rough": maps + 9 * random.standard_normal(shape, np.float32),
        "zeros": np.maximum(maps, 0),
        "denormal": maps * np.float32(1e-42),
    }.items():
        for spec in specs:
            yield from _both(f"{kind}/{shape}/{spec}", array, spec)


def integers(shape: tuple[int, ...], coders: Iterable[str]) -> Iterator[Result]:
    """Integers of every width: narrow ranges, whole ranges, and a few outliers."""
    random = np.random.default_rng(shape)
    narrow = np.rint(random.laplace(40, 6, shape)).clip(0, 100)
    for dtype in INTEGERS:
        limits = np.iinfo(dtype)
        outliers = narrow.astype(dtype)
        outliers.flat[::50] = limits.max
        wide = random.integers(limits.min, limits.max, shape, dtype, endpoint=True)
        for kind, array in {"narrow": narrow.astype(dtype), "outliers": outliers, "wide": wide}.items():
            for coder in coders:
                yield from _both(f"{kind}/{shape}/{dtype}/{coder}", array, f"none|{coder}")


def coefficients(
    name: str, channels: int, size: tuple[int, int], block: tuple[int, int], contexts: bool
) -> Iterator[Result]:
    """Symbols of a profile, with and without contexts, with escapes; decoded to coefficients, which are exact."""
    profile = synthetic_profile(channels, size, block, contexts=contexts)
    for step in (0.25, 1.75):
        symbols = synthetic_symbols(profile, step)
        escapes = np.clip(symbols.astype(np.int32) * 41, -32767, 32767).astype(np.int16)
        for kind, given in {"usual": symbols, "escapes": escapes}.items():
            for spec in (f"transform:step={step}|rans", f"transform:step={step}|rans:context=0"):
                frame = featcodec.encode_symbols(given, spec, profile=profile)
                yield f"{name}/{kind}/{spec}/frame", frame
                decoded = featcodec.decode_coefficients(frame, profiles={profile.fingerprint: profile})
                yield f"{name}/{kind}/{spec}/decoded", decoded.tobytes()
            # The two passes that decoding to coefficients does at once.
            at_step, coder = profile.at(step), Rans()
            coded = memoryview(bytes(coder.encode(given, at_step)))
            again = coder.decode(coded, given.shape, given.dtype, at_step)
            yield f"{name}/{kind}/{step}/symbols", again.tobytes()
            yield f"{name}/{kind}/{step}/reconstructed", transform.reconstruct(again, at_step).tobytes()


def broken(most: int | None) -> Iterator[Result]:
    """Frames cut short or changed under a right checksum: an error everywhere, or the same array everywhere."""
    small_profile.cache_clear()  # it holds kernels' objects, which a trace must see made
    profiles = small_profiles()
    for stage, spec in (stage_specs() | profile_specs()).items():
        if not spec.endswith(("rans", "ctx", "floats", "context=0")):
            continue
        whole = small_frame(spec)
        for kind in (truncations(stage, whole), changes(stage, whole, (0x01, 0x80))):
            right = ((name, frame) for name, frame in kind if name.endswith("checksum-right"))
            for name, frame in islice(right, 0, None, 1 if most is None else max(1, 2 * len(whole) // most)):
                try:
                    decoded = featcodec.decode(frame, profiles=profiles)
                    yield f"broken/{name}", f"{decoded.dtype}{decoded.shape}".encode() + decoded.tobytes()
                except featcodec.FeatcodecError:
                    yield f"broken/{name}", b"error"


def _both(name: str, array: Array, spec: str, frame: bytes | None = None) -> Iterator[Result]:
    """The frame of an array and what `frame`, else that frame, decodes to."""
    made = featcodec.encode(array, spec)
    yield f"{name}/frame", made
    yield f"{name}/decoded", featcodec.decode(frame or made).tobytes()


def main() -> None:
    """Write digests or a trace."""
    what, out, extent = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
    if what == "record":
        with out.open("wb") as sink:
            record(lambda: list(results(extent)), sink)
        return
    out.write_text(json.dumps({name: hashlib.sha256(data).hexdigest() for name, data in results(extent)}, indent=1))


if __name__ == "__main__":
    main()
