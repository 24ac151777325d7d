"""Frames whose head was seen before: the same answer as the long way gives, whatever was changed in them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import numpy as np
import pytest

import featcodec
from featcodec import Limits, TransformProfile, seen
from featcodec._native import kernels
from featcodec.testing import synthetic_profile, synthetic_symbols

pytestmark = pytest.mark.skipif(kernels is None, reason="without the kernels nothing is decoded in one pass")
SPEC = "transform:step=1.75|rans"


@pytest.fixture
def profile() -> TransformProfile:
    return synthetic_profile(6, (6, 9), (3, 3))


def frame_of(profile: TransformProfile, seed: int = 0, spec: str = SPEC) -> bytes:
    symbols = synthetic_symbols(profile, 1.75) + np.int16(seed)
    return featcodec.encode_symbols(symbols, spec, profile=profile)


def outcome(frame: bytes, profile: TransformProfile, limits: Limits | None = None) -> object:
    """The coefficients' bytes, or the error."""
    try:
        profiles = {profile.fingerprint: profile}
        return featcodec.decode_coefficients(frame, profiles=profiles, limits=limits or Limits()).tobytes()
    except featcodec.FeatcodecError as error:
        return type(error), str(error)


def taken(frame: bytes, profile: TransformProfile) -> bool:
    return seen.decode_seen(frame, {profile.fingerprint: profile}, Limits()) is not None


def test_a_head_is_remembered_and_gives_the_same_coefficients(profile: TransformProfile) -> None:
    first, second = frame_of(profile), frame_of(profile, 3)
    assert not taken(first, profile)
    expected = outcome(first, profile), outcome(second, synthetic_profile(6, (6, 9), (3, 3)))
    assert taken(first, profile)
    assert taken(second, profile)
    assert (outcome(first, profile), outcome(second, profile)) == expected


def mutations(frame: bytes) -> Iterator[bytes]:
    """Each byte changed, with and without a checksum that is right again; cut short; longer."""
    for place in range(len(frame)):
        for change in (0x01, 0x80, 0xFF):
            bad = bytearray(frame)
            bad[place] ^= change
            yield bytes(bad)
            yield bytes(bad[:-4]) + zlib.crc32(bad[:-4]).to_bytes(4, "little")
        yield frame[:place]
        yield frame[:place] + zlib.crc32(frame[:place]).to_bytes(4, "little")
        yield (
            frame[:place]
            + b"\0"
            + frame[place:-4]
            + zlib.crc32(frame[:place] + b"\0" + frame[place:-4]).to_bytes(4, "little")
        )


def test_every_mutation_ends_as_on_the_long_way(profile: TransformProfile) -> None:
    frame = frame_of(profile)
    outcome(frame, profile)
    heads = dict(profile.heads)
    for bad in mutations(frame):
        profile.heads.clear()
        expected = outcome(bad, profile)
        profile.heads.clear()
        profile.heads.update(heads)
        assert outcome(bad, profile) == expected


@pytest.mark.parametrize("limit", ["frame_bytes", "elements", "decoded_bytes", "rank"])
def test_limits_hold_for_what_was_seen(profile: TransformProfile, limit: str) -> None:
    frame = frame_of(profile)
    outcome(frame, profile)
    refused = outcome(frame, profile, Limits(**{limit: 1}))
    assert isinstance(refused, tuple)
    assert refused[0] is featcodec.LimitError


def test_heads_are_bounded_and_the_rest_goes_the_long_way(profile: TransformProfile) -> None:
    frames = [frame_of(profile, spec=f"transform:step={1 + step / 64}|rans") for step in range(20)]
    first = [outcome(frame, profile) for frame in frames]
    assert len(profile.heads) == 16
    assert [outcome(frame, profile) for frame in frames] == first
    assert [taken(frame, profile) for frame in frames] == [True] * 16 + [False] * 4


def test_what_is_no_transform_or_no_bytes_is_left_alone(profile: TransformProfile) -> None:
    frame = frame_of(profile)
    expected = outcome(frame, profile)
    assert featcodec.is_transform(frame)
    assert not featcodec.is_transform(featcodec.encode(np.zeros(3, np.float32), "affine|rans"))
    for short in (b"", b"\x89FCF", frame[:6], b"\x89FCF\x01\x02\xff\xff"):
        assert not featcodec.is_transform(short)
    profiles = {profile.fingerprint: profile}
    for kind in (bytearray, memoryview):
        assert featcodec.decode_coefficients(kind(frame), profiles=profiles).tobytes() == expected
    other = synthetic_profile(4, (4, 4), (2, 2))
    both = profiles | {other.fingerprint: other}
    assert featcodec.decode_coefficients(frame, profiles=both).tobytes() == expected
    with pytest.raises(featcodec.ProfileRequiredError):
        featcodec.decode_coefficients(frame, profiles={other.fingerprint: other})
