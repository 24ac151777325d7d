"""The coder `rans` without a profile, one thread: milliseconds a frame, million values a second, bytes."""

from __future__ import annotations

import lzma
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from benchmarks.harness import Measured, main
from featcodec.array_coders.rans import Rans
from featcodec.contract import Array


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


def measure(short: bool) -> Measured:
    """Whole calls of the coder: tables are chosen, written, read and built in each."""
    coder = Rans()
    figures: dict[str, float] = {}
    rows: list[dict[str, Any]] = []
    for frames, repeats in ((1, 200 if short else 2000), (128, 5 if short else 30)):
        values = transform_like(frames)
        coded = bytes(coder.encode(values, None))
        back = coder.decode(memoryview(coded), values.shape, values.dtype, None)
        if back.tobytes() != values.tobytes():
            raise SystemExit("rans: the round trip changed values")
        encode = milliseconds(partial(coder.encode, values, None), repeats)
        decode = milliseconds(partial(coder.decode, memoryview(coded), values.shape, values.dtype, None), repeats)
        if frames == 1:
            figures |= {"rans.no_profile.encode_ms": encode, "rans.no_profile.decode_ms": decode}
        else:
            million = values.size / 1e6
            figures["rans.no_profile.encode_mvalues_s"] = million / encode * 1000
            figures["rans.no_profile.decode_mvalues_s"] = million / decode * 1000
        rows.append(
            {
                "values": values.size,
                "bytes": len(coded),
                "bits_a_value": 8 * len(coded) / values.size,
                "lzma_bytes": len(lzma.compress(values.tobytes(), preset=6)),
                "encode_ms": encode,
                "decode_ms": decode,
                "repeats": repeats,
            }
        )
    return Measured(figures, rows)


if __name__ == "__main__":
    main("rans", measure)
