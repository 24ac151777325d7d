"""Frames: several tensors, what info says, extensions, limits, bytes-likes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import pytest

import featcodec
from featcodec import Extension, Limits, TensorInfo
from featcodec.frame import pack
from featcodec.testing import with_checksum

FEATURES = np.arange(24, dtype=np.float32).reshape(2, 3, 4)


def test_many_arrays_of_many_kinds_in_one_frame() -> None:
    arrays: list[npt.ArrayLike] = [
        FEATURES,
        np.array(7, np.int64),
        np.zeros((0, 3), np.bool_),
        np.arange(5, dtype=">u2"),
        [1.0, 2.0],
    ]
    frame = featcodec.encode_many(arrays, "none|shuffle|zlib")
    decoded = featcodec.decode_many(frame)
    assert len(decoded) == len(arrays)
    for before, after in zip(arrays, decoded, strict=True):
        assert np.array_equal(before, after)
    with pytest.raises(featcodec.FrameError, match="holds 5 arrays: use decode_many"):
        featcodec.decode(frame)
    assert len(featcodec.decode_many(featcodec.encode_many([FEATURES] * 255, "none"))) == 255
    for wrong in ([], [FEATURES] * 256):
        with pytest.raises(featcodec.InputError, match="1 to 255 arrays"):
            featcodec.encode_many(wrong, "none")


def test_info_tells_the_header_without_decoding() -> None:
    frame = featcodec.encode(FEATURES, "affine:bits=6|zstd")
    header = featcodec.info(frame)
    assert (header.version, header.spec, header.fingerprint) == (1, "affine:bits=6|zstd", b"")
    (tensor,) = header.tensors
    assert (tensor.dtype.name, tensor.shape, tensor.count, tensor.nbytes) == ("float32", (2, 3, 4), 24, 96)
    assert header.frame_bytes == len(frame) == header.header_bytes + tensor.payload_bytes


def test_headers_are_small() -> None:
    features = np.zeros((80, 14, 14), np.float32)
    assert featcodec.info(featcodec.encode(features, "none|zstd")).header_bytes <= 32
    assert featcodec.info(featcodec.encode(features, "affine|zstd")).header_bytes <= 42


def test_info_reads_frames_of_unknown_codecs_and_decode_refuses_them() -> None:
    tensor = TensorInfo(np.dtype("<f4"), (2,), b"abc", 3)
    frame = pack("future:x=1|thing", bytes(16), [tensor], [b"xyz"])
    header = featcodec.info(frame)
    assert (header.spec, header.fingerprint, header.tensors) == ("future:x=1|thing", bytes(16), (tensor,))
    with pytest.raises(featcodec.UnsupportedError, match=r"'future:x=1\|thing' is unknown here"):
        featcodec.decode(frame)


def test_optional_extensions_are_kept_and_critical_ones_refused() -> None:
    tensor = TensorInfo(np.dtype("<f4"), (2,), b"", 8)
    optional, critical = Extension(0x0001, b"x" * 300), Extension(0x8001, b"")
    frame = pack("none|raw", b"", [tensor], [bytes(8)], [optional])
    assert featcodec.decode(frame).tolist() == [0, 0]
    assert featcodec.info(frame).extensions == (optional,)
    frame = pack("none|raw", b"", [tensor], [bytes(8)], [optional, critical])
    assert featcodec.info(frame).extensions == (optional, critical)
    with pytest.raises(featcodec.UnsupportedError, match="critical extension 0x8001"):
        featcodec.decode(frame)


def test_magic_and_version_come_before_the_checksum() -> None:
    frame = bytearray(featcodec.encode(FEATURES, "none"))
    with pytest.raises(featcodec.FrameError, match="begins with ff 46 43 46"):
        featcodec.decode(b"\xff" + frame[1:])
    with pytest.raises(featcodec.UnsupportedError, match="version 2"):
        featcodec.decode(frame[:4] + b"\x02" + frame[5:])
    with pytest.raises(featcodec.ChecksumError, match="cut short or changed"):
        featcodec.decode(frame[:-1])
    with pytest.raises(featcodec.TruncatedError, match="ends within its payloads"):
        featcodec.decode(with_checksum(bytes(frame[:-20])))


@pytest.mark.parametrize("name", ["frame_bytes", "decoded_bytes", "elements", "tensors", "rank", "extensions"])
def test_each_limit_holds_and_names_itself(name: str) -> None:
    tensor = TensorInfo(np.dtype("<f4"), (1, 2), b"", 8)
    extensions = [Extension(1, b""), Extension(2, b"")]
    frame = pack("none|raw", b"", [tensor, tensor], [bytes(8)] * 2, extensions)
    needed = {"frame_bytes": len(frame), "decoded_bytes": 16, "elements": 2, "tensors": 2, "rank": 2, "extensions": 2}
    assert len(featcodec.decode_many(frame, limits=Limits(**needed))) == 2
    with pytest.raises(featcodec.LimitError, match=f"raise Limits.{name}"):
        featcodec.decode_many(frame, limits=Limits(**(needed | {name: needed[name] - 1})))


@pytest.mark.parametrize("value", [0, -1, 1.5, True])
def test_limits_are_whole_numbers(value: float) -> None:
    with pytest.raises(ValueError, match="whole number of at least 1"):
        Limits(rank=value)  # type: ignore[arg-type]  # what the test is about


def test_frames_may_be_any_contiguous_bytes() -> None:
    frames = [featcodec.encode(np.zeros(count, np.int8), "none") for count in (10, 11)]
    even = next(frame for frame in frames if len(frame) % 2 == 0)
    assert not featcodec.decode(np.frombuffer(even, np.uint16).data).any()
    for wrong in ("text", 5, np.zeros(40, np.uint8)[::2].data):
        with pytest.raises(featcodec.InputError, match="a frame is contiguous bytes"):
            featcodec.decode(wrong)  # type: ignore[arg-type]  # what the test is about


@pytest.mark.parametrize(
    "wrong",
    [np.array([{}]), np.array(["a"]), np.zeros(2, "M8[s]"), np.zeros(2, np.complex64), [[1], [1, 2]], None],
    ids=str,
)
def test_what_is_no_numeric_array_is_refused(wrong: object) -> None:
    with pytest.raises(featcodec.InputError, match=r"not supported|not an array"):
        featcodec.encode(wrong, "none")  # type: ignore[arg-type]  # what the test is about


def test_nine_dimensions_are_refused() -> None:
    with pytest.raises(featcodec.InputError, match="at most 8 dimensions, not 9"):
        featcodec.encode(np.zeros((1,) * 9), "none")
    with pytest.raises(featcodec.InputError, match="may exceed"):
        featcodec.encode(np.zeros((0, 2**33)), "none")


def test_threads_share_specs_and_stages() -> None:
    def work(seed: int) -> None:
        array = np.random.default_rng(seed).integers(0, 9, (30, 30), np.int16)
        for level in (1, 3, 9):
            frame = featcodec.encode(array, f"none|shuffle|zstd:level={level}")
            assert np.array_equal(featcodec.decode(frame), array)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(64)))


def test_a_profile_without_a_proper_fingerprint_is_refused() -> None:
    tensor = TensorInfo(np.dtype("<f4"), (2,), b"", 8)
    with pytest.raises(featcodec.InputError, match="not 4 bytes"):
        pack("none|raw", b"abcd", [tensor], [bytes(8)])
