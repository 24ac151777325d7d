"""The coder `floats` beside general coders: sizes on eight float32 feature maps, and its speed on one thread."""

from __future__ import annotations

import importlib
import importlib.util
import lzma
import time
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

import featcodec
from benchmarks.ctx import detector_features, lite0_features
from benchmarks.harness import Measured, main

Array = npt.NDArray[Any]
PEERS = ("pcodec", "blosc2")


def best_seconds(work: Callable[[], object], repeats: int) -> float:
    """The shortest time of `work` after a warm-up, in seconds of this thread's processor time."""
    work()
    times = []
    for _ in range(repeats):
        start = time.thread_time()
        work()
        times.append(time.thread_time() - start)
    return min(times)


def peer_sizes(features: Array) -> dict[str, int]:
    """Bytes by peer and setting."""
    data = features.tobytes()
    shuffled = features.reshape(-1).view(np.uint8).reshape(-1, 4).T.tobytes()
    sizes = {f"lzma-9 {name}": len(lzma.compress(x, preset=9)) for name, x in (("raw", data), ("shuffled", shuffled))}
    if importlib.util.find_spec("pcodec"):
        pcodec: Any = importlib.import_module("pcodec")
        for level in (None, 8):
            config = pcodec.ChunkConfig() if level is None else pcodec.ChunkConfig(compression_level=level)
            sizes[f"pcodec {level or 'default'}"] = len(pcodec.standalone.simple_compress(features.reshape(-1), config))
    if importlib.util.find_spec("blosc2"):
        blosc2: Any = importlib.import_module("blosc2")
        for codec in (blosc2.Codec.ZSTD, blosc2.Codec.LZ4HC, blosc2.Codec.ZLIB):
            for way in (blosc2.Filter.NOFILTER, blosc2.Filter.SHUFFLE, blosc2.Filter.BITSHUFFLE):
                packed = blosc2.compress2(data, typesize=4, codec=codec, clevel=9, filters=[way])
                sizes[f"blosc2 {codec.name} {way.name}"] = len(packed)
    return sizes


def compare(name: str, maps: list[Array], repeats: int) -> dict[str, Any]:
    """One row: whole frames of floats, the best peer over all maps, and seconds."""
    coder = featcodec.parse_spec("none|floats").coder
    ours, encode, decode, copy, fast = 0, 0.0, 0.0, 0.0, 0.0
    theirs: dict[str, int] = {}
    for features in maps:
        frame = featcodec.encode(features, "none|floats")
        if featcodec.decode(frame).tobytes() != features.tobytes():
            raise SystemExit(f"{name} does not round-trip")
        ours += len(frame)
        for peer, size in peer_sizes(features).items():
            theirs[peer] = theirs.get(peer, 0) + size
        payload = memoryview(coder.encode(features, None))
        encode += best_seconds(partial(coder.encode, features, None), repeats)
        decode += best_seconds(partial(coder.decode, payload, features.shape, features.dtype, None), repeats)
        copy += best_seconds(features.copy, repeats)
        fast += best_seconds(partial(zlib.compress, features.tobytes(), 1), 1)
    best = min(theirs, key=lambda peer: theirs[peer])
    values = sum(features.size for features in maps)
    return {
        "tensor": name,
        "values": values,
        "bits_per_value": 8 * ours / values,
        "best_peer": best,
        "best_peer_bits_per_value": 8 * theirs[best] / values,
        "vs_best_peer": ours / theirs[best],
        "peers": {peer: 8 * size / values for peer, size in sorted(theirs.items(), key=lambda item: item[1])},
        "encode_s": encode,
        "decode_s": decode,
        "copy_s": copy,
        "zlib_1_s": fast,
    }


def measure(short: bool) -> Measured:
    """Ratios to the best peer, and megabytes of float32 a second over all tensors: the best repeat of every map."""
    missing = [name for name in PEERS if importlib.util.find_spec(name) is None]
    rows: list[dict[str, Any]] = [{"missing": f"{name}: pip install 'splitnet[bench]'"} for name in missing]
    sources = [*lite0_features(1 if short else 10)]
    if importlib.util.find_spec("rapidocr") and importlib.util.find_spec("skimage"):
        sources += detector_features()
    else:
        rows.append({"missing": "detector tensors: pip install --no-deps rapidocr==3.10.0, and scikit-image"})
    found = [compare(name, maps[: 1 if short else None], 5 if short else 15) for name, maps in sources]
    figures = {} if missing else {f"floats.{row['tensor']}.size_vs_best_peer": row["vs_best_peer"] for row in found}
    megabytes = 4e-6 * sum(row["values"] for row in found)
    for way in ("encode", "decode"):
        figures[f"floats.{way}_mb_s"] = megabytes / sum(row[f"{way}_s"] for row in found)
    for other in ("copy", "zlib_1"):
        taken = sum(row[f"{other}_s"] for row in found)
        figures[f"floats.encode_vs_{other}"] = taken / sum(row["encode_s"] for row in found)
    return Measured(figures, rows + found)


if __name__ == "__main__":
    main("floats", measure)
