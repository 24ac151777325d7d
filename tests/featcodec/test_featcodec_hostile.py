"""Corrupt, cut and forged frames: a typed error or a correct decode, never anything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
import pytest

import featcodec
from featcodec import FeatcodecError, LimitError, Limits, PayloadError
from featcodec.byte_coders.sink import STEP
from featcodec.registry import BUILTIN
from featcodec.testing import bombs, hostile_frames, profile_specs, small_profiles, stage_specs
from featcodec.testing.forge import UINT8, frame, small_frame, tensor
from featcodec.testing.hostile import BOMB_BYTES, changes, forgeries, truncations

SPECS = stage_specs() | profile_specs()
SMALL = Limits(decoded_bytes=1 << 20, elements=1 << 20)


def outcomes(frames: Iterable[tuple[str, bytes]], limits: Limits = SMALL) -> Counter[str]:
    """Decode all and count what came of it; any exception but a FeatcodecError fails the test."""
    counted: Counter[str] = Counter()
    for name, data in frames:
        try:
            arrays = featcodec.decode_many(data, profiles=small_profiles(), limits=limits)
            counted["decoded"] += 1
            assert sum(array.nbytes for array in arrays) <= limits.decoded_bytes, name
        except FeatcodecError as error:
            counted[type(error).__name__] += 1
        except Exception as error:
            raise AssertionError(f"{name}: {error!r}") from error
        try:
            featcodec.info(data, limits=limits)
        except FeatcodecError:
            continue
    return counted


@pytest.mark.parametrize("spec", SPECS.values(), ids=str)
def test_truncation(spec: str) -> None:
    whole = small_frame(spec)
    counted = outcomes(truncations("cut", whole))
    assert counted["decoded"] == 0
    assert counted["TruncatedError"] >= len(whole) // 2


@pytest.mark.parametrize("spec", SPECS.values(), ids=str)
def test_every_value_of_every_byte(spec: str) -> None:
    whole = small_frame(spec)
    every = tuple(range(1, 256))
    with_right_checksum = (pair for pair in changes("byte", whole, every) if pair[0].endswith("right"))
    outcomes(with_right_checksum)


@pytest.mark.parametrize("spec", SPECS.values(), ids=str)
def test_the_checksum_catches_every_change(spec: str) -> None:
    as_it_is = (p for p in changes("byte", small_frame(spec), (1, 0x10, 0x80, 0xFF)) if "checksum" not in p[0])
    counted = outcomes(as_it_is)
    assert set(counted) <= {"ChecksumError", "FrameError", "UnsupportedError"}
    assert counted["ChecksumError"] >= len(small_frame(spec)) * 3


def test_forged_headers_are_all_refused() -> None:
    counted = outcomes(forgeries(), Limits())
    assert counted["decoded"] == 0
    assert {"LimitError", "PayloadError", "UnsupportedError", "TruncatedError"} <= set(counted)


def test_a_terabyte_claimed_with_limits_that_allow_it_allocates_nothing() -> None:
    vast = Limits(decoded_bytes=1 << 50, elements=1 << 50)
    claims = [pair for pair in forgeries() if pair[0].startswith("zstd-1-TiB")]
    assert len(claims) == 4
    assert outcomes(claims, vast) == {"PayloadError": 4}


def test_bombs_stay_within_limits() -> None:
    for name, data in bombs():
        if name.endswith("claims-16"):
            with pytest.raises(PayloadError, match=r"expected|more than|corrupt|states"):
                featcodec.decode(data)
        else:
            with pytest.raises(LimitError, match=r"decoded_bytes|elements"):
                featcodec.decode(data, limits=SMALL)
            array = featcodec.decode(data)
            assert array.shape == (BOMB_BYTES,)
            assert not array.any()


def test_the_corpus_covers_every_stage_under_unique_names() -> None:
    names = [name for name, _ in hostile_frames()]
    assert len(set(names)) == len(names)
    assert {name.partition("/")[0] for name in names} >= set(BUILTIN)
    assert 3000 < len(names) < 8000


@pytest.mark.parametrize("name", ["zlib", "gzip", "bz2", "lzma", "zstd", "lz4", "brotli"])
@pytest.mark.parametrize("size", [1, 100, STEP - 1, STEP, STEP + 1, 3 * STEP])
def test_byte_coders_unpack_to_exactly_the_size(name: str, size: int) -> None:
    coder = featcodec.parse_spec(f"none|{name}").byte_coder
    assert coder is not None
    random = np.random.default_rng(size).integers(0, 4, size, np.uint8).tobytes()
    packed = coder.encode(random)
    assert bytes(coder.decode(memoryview(packed), size)) == random
    for wrong, expected in (
        (packed, size - 1),
        (packed, size + 1),
        (packed + b"\0", size),
        (packed + packed, size),
        (packed[:-1], size),
        (b"", size),
    ):
        if expected:
            with pytest.raises(PayloadError, match=name):
                coder.decode(memoryview(wrong), expected)


def test_lzma_refuses_a_dictionary_larger_than_the_data_needs() -> None:
    lzma = pytest.importorskip("lzma")
    chain = [{"id": lzma.FILTER_LZMA1, "preset": 6, "dict_size": 1 << 26}]
    stream = lzma.compress(bytes(100), format=lzma.FORMAT_ALONE, filters=chain)
    claim = tensor(UINT8, (100,), payload_size=len(stream))
    with pytest.raises(PayloadError, match="Memory usage limit"):
        featcodec.decode(frame([claim], stream, spec=b"none|lzma"))


def test_zstd_refuses_streams_without_size_with_dictionary_or_vast_window() -> None:
    zstandard = pytest.importorskip("zstandard")
    sizeless = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(100))
    vast = b"\x28\xb5\x2f\xfd\x40\xa0\x00\x00" + bytes(60)
    with_dictionary = b"\x28\xb5\x2f\xfd\x21\x07\x64" + b"\x01\x00\x00"
    for stream, says in ((sizeless, "no size"), (vast, "window"), (with_dictionary, "dictionary 7")):
        size = 256 if stream is vast else 100
        claim = tensor(UINT8, (size,), payload_size=len(stream))
        with pytest.raises(PayloadError, match=says):
            featcodec.decode(frame([claim], stream, spec=b"none|zstd"))
