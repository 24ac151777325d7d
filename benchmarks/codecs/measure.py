"""Size and speed of one codec on one set of maps, every round trip compared."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from benchmarks.codecs.codecs import Codec
from benchmarks.codecs.tensors import Maps

SECONDS = 1.0
"""Time spent on repeats of one direction, at least; slow codecs run once after the warm-up."""


@dataclass(frozen=True, slots=True)
class Row:
    """One codec on one set of maps; speeds in million values a second, one thread, median of repeats."""

    tensor: str
    kind: str
    codec: str
    group: str
    bits_per_value: float | None = None
    encode_mvalues_s: float | None = None
    decode_mvalues_s: float | None = None
    note: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON and CSV."""
        return asdict(self)


def measure(codec: Codec, maps: Maps, seconds: float = SECONDS) -> Row:
    """Encode and decode every array.

    Raises
    ------
    AssertionError
        if what comes back is not, byte for byte, what went in: a benchmark of a broken codec is worth nothing.
    """
    if codec.encode is None or codec.decode is None:
        return Row(maps.tensor, maps.kind, codec.name, codec.group, note=codec.missing)
    encode, decode = codec.encode, codec.decode
    coded = [encode(array) for array in maps.arrays]
    for data, array in zip(coded, maps.arrays, strict=True):
        back = decode(data, array.shape)
        if back.dtype != array.dtype or back.tobytes() != array.tobytes():
            raise AssertionError(f"{codec.name} changed {maps.tensor} {maps.kind}")
    shapes = [array.shape for array in maps.arrays]
    encoding = _seconds(lambda: [encode(array) for array in maps.arrays], seconds)
    decoding = _seconds(lambda: [decode(data, shape) for data, shape in zip(coded, shapes, strict=True)], seconds)
    return Row(
        maps.tensor,
        maps.kind,
        codec.name,
        codec.group,
        bits_per_value=8 * sum(map(len, coded)) / maps.values,
        encode_mvalues_s=maps.values / encoding / 1e6,
        decode_mvalues_s=maps.values / decoding / 1e6,
    )


def _seconds(work: Callable[[], object], budget: float) -> float:
    times: list[float] = []
    while not times or (sum(times) < budget and len(times) < 50):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return median(times)
