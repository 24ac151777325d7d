"""The coder `rans` with a profile and without, one thread: milliseconds a frame, million values a second, bytes."""

from __future__ import annotations

import lzma
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

import splitnet.models
from benchmarks.harness import Measured, main
from featcodec import TransformProfile, decode_coefficients, encode_symbols, load_profile, make_profile, parse_spec
from featcodec.array_coders.rans import Rans
from featcodec.contract import Array, Profile
from featcodec.profile_checks import NAMES
from featcodec.testing import synthetic_profile, synthetic_symbols

_SHIPPED = Path(splitnet.models.__file__).parent / "profiles/efficientnet-lite0/block7.safetensors"
_STEP = 1.75
_LARGE = 16  # frames' worth of values in a large tensor; a call of milliseconds, which others' work seldom divides


def transform_like(frames: int) -> Array:
    """Symbols as a KLT leaves them, int16 (frames, 80, 14, 14): Laplacian, each component narrower than the last."""
    widths = np.geomspace(2.2, 0.12, 80)[:, None, None]
    return np.rint(np.random.default_rng(11).laplace(0, widths, (frames, 80, 14, 14))).astype(np.int16)


def milliseconds(call: Callable[[], Any], repeats: int) -> float:
    """Median of repeats, after a warm-up."""
    taken = []
    for _ in range(3 + repeats):
        start = time.perf_counter()
        call()
        taken.append(1000 * (time.perf_counter() - start))
    return median(taken[3:])


def timed(coder: Rans, values: Array, profile: Profile | None, repeats: int) -> dict[str, Any]:
    """A row of the table: whole calls of the coder, from symbols to bytes and back, beside a copy of the symbols."""
    coded = bytes(coder.encode(values, profile))
    decode = partial(coder.decode, memoryview(coded), values.shape, values.dtype, profile)
    if decode().tobytes() != values.tobytes():
        raise SystemExit("rans: the round trip changed values")
    return {
        "coder": str(coder),
        "profile": "none" if profile is None else "of the cut" if _SHIPPED.exists() else "synthetic",
        "values": values.size,
        "bytes": len(coded),
        "bits_a_value": 8 * len(coded) / values.size,
        "lzma_bytes": len(lzma.compress(values.tobytes(), preset=6)),
        "encode_ms": milliseconds(partial(coder.encode, values, profile), repeats),
        "decode_ms": milliseconds(decode, repeats),
        "repeats": repeats,
    } | peers(values, repeats)


def peers(values: Array, repeats: int) -> dict[str, float]:
    """The same symbols through zstd at level 1, and copied."""
    zstd = parse_spec("none|zstd:level=1").byte_coder
    assert zstd is not None
    packed = zstd.encode(values.tobytes())
    return {
        "zstd_1_bytes": len(packed),
        "zstd_1_encode_ms": milliseconds(lambda: zstd.encode(values.data.cast("B")), repeats),
        "zstd_1_decode_ms": milliseconds(lambda: zstd.decode(memoryview(packed), values.nbytes), repeats),
        "copy_ms": milliseconds(values.copy, repeats),
    }


def block7() -> TransformProfile:
    """The shipped profile, or one like it: 80 channels of 14 x 14 in one block."""
    return load_profile(_SHIPPED) if _SHIPPED.exists() else synthetic_profile(80, (14, 14), (14, 14))


def repeated(profile: TransformProfile, count: int) -> TransformProfile:
    """The profile of features `count` times as high, in as many more blocks."""
    arrays = {name: getattr(profile, name) for name in NAMES}
    return make_profile(**(arrays | {"geometry": profile.geometry * (1, count, 1, 1, 1)}), metadata=profile.metadata)


def whole(profile: TransformProfile, symbols: Array, repeats: int) -> dict[str, float]:
    """Symbols to frame and frame to coefficients."""
    spec = parse_spec(f"transform:step={_STEP}|rans")
    frame = encode_symbols(symbols, spec, profile=profile)
    profiles = {profile.fingerprint: profile}
    return {
        "rans.frame_encode_ms": milliseconds(partial(encode_symbols, symbols, spec, profile=profile), repeats),
        "rans.frame_decode_ms": milliseconds(partial(decode_coefficients, frame, profiles=profiles), repeats),
    }


def measure(short: bool) -> Measured:
    """Frames of one photo, then large tensors."""
    one = 200 if short else 2000
    rows = [
        timed(Rans(), transform_like(1), None, one),
        timed(Rans(), transform_like(_LARGE), None, one // 10),
    ]
    profile = block7()
    symbols = synthetic_symbols(profile, _STEP)
    large = repeated(profile, _LARGE)
    rows += [timed(Rans(context=context), symbols, profile.at(_STEP), one) for context in (0, 1)]
    rows.append(timed(Rans(context=0), synthetic_symbols(large, _STEP), large.at(_STEP), one // 10))
    figures = whole(profile, symbols, one)
    for name, row in zip(("rans.no_profile.", "rans.", "rans.context_"), (rows[0], rows[2], rows[3]), strict=True):
        figures |= {f"{name}encode_ms": row["encode_ms"], f"{name}decode_ms": row["decode_ms"]}
    for name, row in zip(("rans.no_profile.", "rans."), (rows[1], rows[4]), strict=True):
        for way in ("encode", "decode"):
            figures[f"{name}{way}_mvalues_s"] = row["values"] / 1000 / row[f"{way}_ms"]
    figures["rans.encode_to_zstd_1"] = rows[2]["encode_ms"] / rows[2]["zstd_1_encode_ms"]
    figures["rans.decode_to_zstd_1"] = rows[2]["decode_ms"] / rows[2]["zstd_1_decode_ms"]
    return Measured(figures, rows)


if __name__ == "__main__":
    main("rans", measure)
