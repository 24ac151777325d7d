"""Add golden frames. Existing ones are never rewritten: they pin what every later version must decode.

    python tests/golden/add_golden.py            adds what CASES names and the folder lacks

Each case leaves NAME.fcf (the frame), NAME.npy (what it decodes to) and an entry in manifest.json. Frames of symbols
have coefficients in NAME.npy, which are the same bits everywhere, and a profile, PROFILE.safetensors.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

import featcodec
from featcodec.testing import synthetic_profile, synthetic_symbols

FOLDER = Path(__file__).parent / "v1"


def features(dtype: str, shape: tuple[int, ...] = (3, 4, 5)) -> npt.NDArray[np.generic]:
    """Feature-like values: heavy-tailed, many zeros; other dtypes: counting up and wrapping round."""
    random = np.random.default_rng(20_000)
    if dtype.startswith("float"):
        return np.maximum(random.laplace(0.2, 2.0, shape), -0.5).astype(dtype)
    return random.integers(0, 200, shape).astype(dtype)


def related() -> npt.NDArray[np.generic]:
    """Smooth channels of which each resembles the one before it, large enough for the taps of large maps."""
    random = np.random.default_rng(20_001)
    rough = random.integers(-40, 41, (5, 36, 36)).cumsum(1).cumsum(2) // 16
    mixed: npt.NDArray[np.generic] = np.clip(rough[1:] + 2 * rough[:1], 0, 255).astype(np.uint8)
    return mixed


def rough(shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Channels of either sign that share a pattern, with noise of their own."""
    random = np.random.default_rng(20_003)
    pattern = random.standard_normal(shape[1:]).cumsum(0).cumsum(1) / np.sqrt(np.arange(1, shape[2] + 1))
    mixed: npt.NDArray[np.float32] = (pattern * random.uniform(-2, 2, (shape[0], 1, 1))).astype(np.float32)
    return mixed + random.standard_normal(shape).astype(np.float32)


SPECIALS = np.array([0x7F800001, 0xFFC12345, 0x7F800000, 0x80000000, 1, 0x3F800000], np.uint32).view(np.float32)

CASES: dict[str, tuple[str, npt.NDArray[np.generic]]] = {
    **{f"none-{dtype}": ("none", features(dtype)) for dtype in ("bool", "int8", "int16", "int32", "int64")},
    **{f"none-{dtype}": ("none", features(dtype)) for dtype in ("uint8", "uint16", "uint32", "uint64")},
    **{f"none-{dtype}": ("none", features(dtype)) for dtype in ("float16", "float32", "float64")},
    "none-nan-payloads": ("none", SPECIALS),
    "none-scalar": ("none", np.array(2.5, np.float32)),
    "none-empty": ("affine|zstd", np.zeros((2, 0, 3), np.float32)),
    "none-rank-8": ("none", features("uint8", (1, 2, 1, 2, 1, 3, 1, 2))),
    "float16": ("float16", features("float32")),
    "float16-nan": ("float16", SPECIALS[[1, 2, 3, 4, 5]]),
    "bfloat16": ("bfloat16", features("float64")),
    "affine": ("affine", features("float32")),
    "affine-float16": ("affine", features("float16")),
    "affine-float64": ("affine:bits=12", features("float64")),
    "affine-1-bit": ("affine:bits=1", features("float32")),
    "affine-channels": ("affine:bits=6,per=channel", features("float32", (2, 3, 4, 5))),
    "affine-constant": ("affine", np.full((2, 3), 0.1, np.float32)),
    "clip": ("clip", features("float32")),
    "clip-2-levels": ("clip:levels=2", features("float64")),
    "shuffle": ("none|shuffle", features("float32")),
    "shuffle-zlib": ("none|shuffle|zlib", features("float64")),
    "zlib": ("affine|zlib:level=9", features("float32")),
    "gzip": ("affine|gzip", features("float32")),
    "bz2": ("affine|bz2", features("float32")),
    "lzma": ("affine|lzma", features("float32")),
    "zstd": ("affine|zstd", features("float32")),
    "zstd-22": ("clip:levels=4|zstd:level=22", features("float32", (8, 14, 14))),
    "lz4": ("affine|lz4", features("float32")),
    "lz4-9": ("clip:levels=4|lz4:level=9", features("float32", (8, 14, 14))),
    "brotli": ("affine|brotli", features("float32")),
    "none-brotli": ("none|shuffle|brotli:quality=11", features("float32", (8, 14, 14))),
}

WIDTHS = np.geomspace(8, 0.1, 6)[:, None, None]
SYMBOLS = np.rint(np.random.default_rng(20_001).laplace(0, WIDTHS, (6, 8, 9))).astype(np.int16)
OUTLIERS = np.where(np.arange(300) % 100 == 7, -(1 << 50), np.arange(300) ** 2 % 11)

CASES |= {
    "rans-parametric": ("none|rans", SYMBOLS),
    "rans-explicit": ("none|rans", np.array([3, 90, 91, 250], np.uint8)[np.arange(1500) ** 2 % 7 % 4]),
    "rans-affine-channels": ("affine:per=channel|rans", features("float32", (4, 16, 16))),
    "rans-shifted": ("affine:bits=14|rans", features("float32", (2, 3, 400))),
    "rans-escapes": ("none|rans", OUTLIERS),
    "rans-raw": ("none|rans", np.random.default_rng(20_002).integers(0, 1 << 32, 50, np.uint32)),
    "ctx": ("affine|ctx", features("float32", (8, 14, 14))),
    "ctx-clip": ("clip:levels=4|ctx", features("float32", (8, 14, 14))),
    "ctx-int16": ("none|ctx", features("int16", (2, 3, 34, 34)) - 100),
    "ctx-constant": ("none|ctx", np.full((3, 4), -7, np.int64)),
    "ctx-raw": ("none|ctx", features("uint8")),
    "ctx-related": ("none|ctx", related()),
    # From here on in mode 3, those above in mode 2.
    "ctx-3": ("affine|ctx", features("float32", (8, 14, 14))),
    "ctx-3-related": ("none|ctx", related()),
    "ctx-3-dense": ("affine:bits=4|ctx", rough((4, 36, 36))),
    "ctx-3-dense-8": ("affine|ctx", rough((3, 36, 36))),
    "ctx-3-zeros": ("affine:bits=4|ctx", np.maximum(rough((4, 36, 36)), 0)),
    "ctx-3-small": ("affine:bits=6|ctx", rough((6, 14, 14))),
    "ctx-3-wide": ("none|ctx", np.rint(rough((3, 3, 700)) * 9).astype(np.int16)),
    # And from here on in mode 4.
    "ctx-4": ("affine|ctx", features("float32", (8, 14, 14))),
    "ctx-4-related": ("none|ctx", related()),
    "ctx-4-dense": ("affine:bits=4|ctx", rough((4, 36, 36))),
    "ctx-4-dense-8": ("affine|ctx", rough((3, 36, 36))),
    "ctx-4-zeros": ("affine:bits=4|ctx", np.maximum(rough((4, 36, 36)), 0)),
    "ctx-4-small": ("affine:bits=6|ctx", rough((6, 14, 14))),
    "ctx-4-wide": ("none|ctx", np.rint(rough((3, 3, 700)) * 9).astype(np.int16)),
}

SUMMED = np.random.default_rng(20_003).standard_normal((3, 20, 20), np.float32) + np.float32(5)

CASES |= {
    "floats": ("none|floats", SUMMED - np.float32(6)),
    "floats-relu": ("none|floats", np.maximum(SUMMED - np.float32(5.25), 0).repeat(2, axis=2)),
    "floats-half": ("float16|floats", SUMMED),
    "floats-bfloat16": ("bfloat16|floats", SUMMED),
    "floats-nan-payloads": ("none|floats", np.tile(np.concatenate([SPECIALS, SUMMED[0, 0]]), (26, 1))),
    "floats-raw": ("none|floats", SPECIALS),
}


PROFILES = {
    "profile-blocks": {"channels": 4, "size": (6, 9), "block": (3, 3)},
    "profile-vector": {"channels": 16, "size": (1, 1), "block": (1, 1), "contexts": False},
}
# name: spec, profile, factor of the symbols
SYMBOL_CASES = {
    "transform": ("transform:step=0.5|raw", "profile-blocks", 1),
    "transform-rans": ("transform:step=0.5|rans", "profile-blocks", 1),
    "transform-rans-order-0": ("transform:step=0.5|rans:context=0", "profile-blocks", 1),
    "transform-rans-escapes": ("transform:step=0.5|rans", "profile-blocks", 23),
    "transform-vector": ("transform|rans", "profile-vector", 1),
}


def profile(name: str) -> featcodec.TransformProfile:
    """A golden profile, written where it is missing."""
    path = FOLDER / f"{name}.safetensors"
    if not path.exists():
        path.write_bytes(synthetic_profile(**PROFILES[name]).to_bytes())  # type: ignore[arg-type]
    return featcodec.load_profile(path)


def digest(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def add(name: str, spec: str, frame: bytes, array: npt.NDArray[np.generic]) -> dict[str, str]:
    """Write a case; its entry in the manifest."""
    frame_file, array_file = FOLDER / f"{name}.fcf", FOLDER / f"{name}.npy"
    if frame_file.exists() or array_file.exists():
        raise SystemExit(f"{name}: files exist without an entry in the manifest; golden files are never rewritten")
    frame_file.write_bytes(frame)
    np.save(array_file, array, allow_pickle=False)
    print("added", name)
    return {"spec": str(featcodec.parse_spec(spec)), "fcf": digest(frame_file), "npy": digest(array_file)}


def main() -> None:
    """Write every case that is missing; refuse to touch the others."""
    FOLDER.mkdir(exist_ok=True)
    manifest = FOLDER / "manifest.json"
    entries = json.loads(manifest.read_text()) if manifest.exists() else {}
    for name, (spec, array) in CASES.items():
        if name not in entries:
            frame = featcodec.encode(array, spec)
            entries[name] = add(name, spec, frame, featcodec.decode(frame))
    for name, (spec, profile_name, factor) in SYMBOL_CASES.items():
        if name not in entries:
            used = profile(profile_name)
            frame = featcodec.encode_symbols(factor * synthetic_symbols(used, 0.5), spec, profile=used)
            array = featcodec.decode_coefficients(frame, profiles={used.fingerprint: used})
            entries[name] = add(name, spec, frame, array) | {
                "profile": profile_name,
                "profile_digest": used.fingerprint.hex(),
            }
    manifest.write_text(json.dumps(dict(sorted(entries.items())), indent=1) + "\n")


if __name__ == "__main__":
    main()
