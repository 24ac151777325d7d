"""`transform`: round trips, halves, errors, threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import featcodec
from featcodec import FrameError, InputError, LimitError, NonFiniteError, PayloadError, ProfileError
from featcodec.quantisers import dct, transform
from featcodec.testing import check_round_trip, small_profile, synthetic_profile, synthetic_symbols

Array = np.ndarray[Any, Any]
PROFILES = {
    "blocks": synthetic_profile(4, (6, 9), (3, 3)),
    "one-block": synthetic_profile(3, (5, 4), (5, 4), bands=4),
    "no-contexts": synthetic_profile(4, (4, 4), (2, 2), contexts=False),
    "one-channel": synthetic_profile(1, (4, 6), (2, 3)),
    "pixels": synthetic_profile(3, (3, 4), (1, 1)),
    "vector": synthetic_profile(16, (1, 1), (1, 1)),
    "one-value": synthetic_profile(1, (1, 1), (1, 1)),
}
CODERS = ["rans", "rans:context=0", "raw", "zlib", "shuffle|zlib", "ctx"]


def features(profile: featcodec.TransformProfile, seed: int = 0) -> Array:
    """float32 (C, H, W)."""
    values: Array = np.random.default_rng(seed).laplace(0, 1, profile.shape).astype(np.float32)
    return values


def known(profile: featcodec.TransformProfile) -> dict[bytes, featcodec.TransformProfile]:
    return {profile.fingerprint: profile}


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("coder", CODERS)
def test_round_trip(name: str, coder: str) -> None:
    profile, spec = PROFILES[name], f"transform:step=0.25|{coder}"
    array = features(profile)
    decoded = check_round_trip(spec, array, profile=profile)
    # The matrices are rotations: an error of at most half a step and the points' shift in each coefficient.
    assert np.linalg.norm(decoded - array) <= 0.25 * np.sqrt(array.size)
    halves = check_round_trip(spec, array[None].astype(np.float16), profile=profile)
    assert np.abs(halves[0] - decoded).max() < 0.6
    fine = check_round_trip(f"transform:step=0.001|{coder}", array, profile=profile)
    assert np.abs(fine - array).max() < 0.01


@pytest.mark.parametrize("name", PROFILES)
def test_symbols_and_coefficients_are_the_halves(name: str) -> None:
    profile, spec = PROFILES[name], "transform:step=0.5|rans"
    quantiser = transform.Transform(step=0.5)
    array = features(profile)[None]
    symbols, _ = quantiser.quantise(array, profile)
    frame = featcodec.encode(array, spec, profile=profile)
    assert featcodec.encode_symbols(symbols, spec, profile=profile) == frame
    assert featcodec.encode_symbols(np.asfortranarray(symbols.astype(">i2")), spec, profile=profile) == frame
    coefficients = featcodec.decode_coefficients(frame, profiles=known(profile))
    assert (coefficients.dtype, coefficients.shape) == (np.dtype(np.float32), profile.symbols_shape)
    decoded = featcodec.decode(frame, profiles=known(profile))
    assert quantiser.synthesise(coefficients, np.dtype("<f4"), profile).tobytes() == decoded.tobytes()
    bare = featcodec.encode_symbols(symbols, spec, profile=profile, shape=profile.shape)
    assert featcodec.decode(bare, profiles=known(profile)).shape == profile.shape


def test_reconstruction_is_its_definition() -> None:
    profile = PROFILES["blocks"]
    symbols = synthetic_symbols(profile, 0.05)
    symbols[0, 0] = (32767, -32768, 0, -1)
    frame = featcodec.encode_symbols(symbols, "transform:step=0.3|raw", profile=profile)
    found = featcodec.decode_coefficients(frame, profiles=known(profile))
    tables, step = profile.tables_of(0.3), np.float32(0.3)
    for (b, j, c), symbol in np.ndenumerate(symbols):
        magnitude = abs(int(symbol))
        points = profile.points[tables[j, c]]
        value = np.float32(magnitude) + (points[magnitude] if magnitude < len(points) else np.float32(0))
        assert found[b, j, c] == np.sign(symbol) * (value * step)
    assert not np.signbit(found[symbols == 0]).any()
    reference = transform.reconstruct_reference(symbols, profile.at(0.3))
    assert reference.tobytes() == found.tobytes()


@pytest.mark.parametrize("block", [(1, 1), (2, 3), (7, 7), (14, 14)])
def test_the_dct_is_orthonormal(block: tuple[int, int]) -> None:
    array = np.random.default_rng(0).normal(size=(3, 2 * block[0], 3 * block[1])).astype(np.float32)
    frequencies = dct.forward(array, block)
    assert frequencies.shape == (6, block[0] * block[1], 3)
    assert np.linalg.norm(frequencies) == pytest.approx(np.linalg.norm(array), rel=1e-5)
    means = array.reshape(3, 2, block[0], 3, block[1]).mean(axis=(2, 4)).reshape(3, 6).T
    assert np.allclose(frequencies[:, 0], means * np.sqrt(block[0] * block[1]), atol=1e-4)
    assert np.abs(dct.inverse(frequencies, block, array.shape) - array).max() < 1e-4


def test_large_maps_are_transformed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = PROFILES["blocks"]
    array = features(profile)
    whole = transform.analyse(array, profile)
    back = transform.synthesise(whole, profile)
    monkeypatch.setattr(transform, "_PART", 1)
    assert np.abs(transform.analyse(array, profile) - whole).max() < 1e-5
    assert np.abs(transform.synthesise(whole, profile) - back).max() < 1e-5


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite(bad: float) -> None:
    profile = PROFILES["blocks"]
    for dtype in (np.float32, np.float16):
        array = features(profile).astype(dtype)
        array[2, 3, 4] = bad
        with pytest.raises(NonFiniteError, match="NaN, infinity or"):
            featcodec.encode(array, "transform|rans", profile=profile)


def test_symbols_that_int16_does_not_hold() -> None:
    profile = PROFILES["vector"]
    with pytest.raises(InputError, match=r"is .* steps of 0.001, beyond 32767; take a larger step"):
        featcodec.encode(100 * features(profile), "transform:step=0.001|rans", profile=profile)
    with pytest.raises(NonFiniteError, match="near float32's end"):
        featcodec.encode(np.full((16,), 3e38, np.float32), "transform|rans", profile=profile)


@pytest.mark.parametrize("shape", [(4, 9, 6), (2, 4, 6, 9), (1, 1, 4, 6, 9), (216,), (), (4, 6)])
def test_arrays_of_another_shape(shape: tuple[int, ...]) -> None:
    profile = PROFILES["blocks"]
    with pytest.raises(InputError, match=r"the profile is of features \(4, 6, 9\), not \("):
        featcodec.encode(np.zeros(shape, np.float32), "transform|rans", profile=profile)
    with pytest.raises(InputError, match="transform takes float16, float32, not float64"):
        featcodec.encode(np.zeros(profile.shape), "transform|rans", profile=profile)


def test_vectors() -> None:
    profile = PROFILES["vector"]
    vector = features(profile).reshape(-1)
    for array in (vector, vector[None], vector[:, None, None], vector[None, :, None, None]):
        check_round_trip("transform:step=0.1|rans", array, profile=profile)
    check_round_trip("transform|rans", np.array(1.5, np.float32), profile=PROFILES["one-value"])


def test_symbols_of_another_kind() -> None:
    profile = PROFILES["blocks"]
    symbols = synthetic_symbols(profile, 1)
    for wrong in (symbols.astype(np.int32), symbols[0], symbols.astype(np.float32), symbols.astype(np.uint16)):
        with pytest.raises(InputError, match="symbols are int16"):
            featcodec.encode_symbols(wrong, "transform|rans", profile=profile)
    with pytest.raises(InputError, match="the profile is of features"):
        featcodec.encode_symbols(symbols, "transform|rans", profile=profile, shape=(4, 9, 6))
    with pytest.raises(featcodec.SpecError, match="its quantiser is 'affine'"):
        featcodec.encode_symbols(symbols, "affine|rans", profile=profile)
    with pytest.raises(FrameError, match="its quantiser is 'affine'"):
        featcodec.decode_coefficients(featcodec.encode(features(profile), "affine|rans"))


def test_profiles_that_are_missing_or_wrong() -> None:
    profile, other = PROFILES["blocks"], PROFILES["one-block"]
    array = features(profile)
    frame = featcodec.encode(array, "transform|rans", profile=profile)
    with pytest.raises(featcodec.ProfileRequiredError, match="pass profile="):
        featcodec.encode(array, "transform|rans")
    with pytest.raises(featcodec.ProfileRequiredError, match="pass profile="):
        featcodec.encode_symbols(synthetic_symbols(profile, 1), "transform|rans", profile=None)
    for decode in (featcodec.decode, featcodec.decode_coefficients):
        with pytest.raises(featcodec.ProfileRequiredError) as caught:
            decode(frame, profiles=known(other))
        assert caught.value.fingerprint == profile.fingerprint[:8]
        with pytest.raises(PayloadError, match="the profile is of features"):
            decode(frame, profiles={profile.fingerprint: other})
    with pytest.raises(InputError, match="the profile is of features"):
        featcodec.encode(array, "transform|rans", profile=other)

    class Foreign:
        fingerprint = profile.fingerprint

    with pytest.raises(ProfileError, match="needs a TransformProfile, not Foreign"):
        featcodec.encode(array, "transform|rans", profile=Foreign())
    with pytest.raises(ProfileError, match="needs a TransformProfile, not Foreign"):
        featcodec.decode(frame, profiles={profile.fingerprint: Foreign()})


def test_limits() -> None:
    profile = PROFILES["blocks"]
    frame = featcodec.encode(features(profile).astype(np.float16), "transform|rans", profile=profile)
    size = features(profile).size
    featcodec.decode(frame, profiles=known(profile), limits=featcodec.Limits(decoded_bytes=2 * size))
    with pytest.raises(LimitError, match="decoded_bytes"):
        featcodec.decode_coefficients(
            frame, profiles=known(profile), limits=featcodec.Limits(decoded_bytes=4 * size - 1)
        )
    featcodec.decode_coefficients(frame, profiles=known(profile), limits=featcodec.Limits(decoded_bytes=4 * size))
    with pytest.raises(LimitError, match="elements"):
        featcodec.decode(frame, profiles=known(profile), limits=featcodec.Limits(elements=size - 1))


def test_several_arrays_and_empty_ones() -> None:
    profile = small_profile()
    arrays = [features(profile, seed) for seed in range(3)]
    frame = featcodec.encode_many(arrays, "transform:step=0.5|rans", profile=profile)
    single = [featcodec.encode(array, "transform:step=0.5|rans", profile=profile) for array in arrays]
    decoded = featcodec.decode_many(frame, profiles=known(profile))
    for one, alone in zip(decoded, single, strict=True):
        assert one.tobytes() == featcodec.decode(alone, profiles=known(profile)).tobytes()
    with pytest.raises(FrameError, match="holds 3 arrays"):
        featcodec.decode_coefficients(frame, profiles=known(profile))
    empty = featcodec.encode(np.zeros((0, 2), np.float32), "transform|rans", profile=profile)
    assert featcodec.decode(empty, profiles=known(profile)).shape == (0, 2)
    with pytest.raises(FrameError, match="no elements"):
        featcodec.decode_coefficients(empty, profiles=known(profile))


def test_other_codecs_do_not_name_a_profile_they_do_not_use() -> None:
    profile = PROFILES["blocks"]
    frame = featcodec.encode(features(profile), "affine|rans", profile=profile)
    assert featcodec.info(frame).fingerprint == b""
    assert frame == featcodec.encode(features(profile), "affine|rans")


def test_threads_share_a_profile() -> None:
    profile = synthetic_profile(6, (8, 8), (4, 4), seed=77)
    arrays = [features(profile, seed) for seed in range(8)]
    steps = [0.1 * (1 + index % 20) for index in range(80)]

    def work(index: int) -> bytes:
        spec = f"transform:step={steps[index]!r}|rans"
        frame = featcodec.encode(arrays[index % 8], spec, profile=profile)
        return frame + featcodec.decode_coefficients(frame, profiles=known(profile)).tobytes()

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(work, range(80)))
    again = featcodec.load_profile(profile.to_bytes())
    assert again == profile
    assert together == [work(index) for index in range(80)]


@given(st.sampled_from(sorted(PROFILES)), st.floats(0.001, 1024), st.integers(0, 2**32 - 1), st.floats(1e-6, 1e6))
@settings(deadline=None, max_examples=150, derandomize=True, database=None)
def test_any_features_at_any_step(name: str, step: float, seed: int, scale: float) -> None:
    profile = PROFILES[name]
    array = (features(profile, seed) * np.float32(scale)).astype(np.float32)
    try:
        frame = featcodec.encode(array, f"transform:step={step!r}|rans", profile=profile)
    except InputError:
        assert np.abs(array).sum() + np.abs(profile.mean).sum() * array.size > 32767 * step / 2
        return
    decoded = featcodec.decode(frame, profiles=known(profile))
    assert np.isfinite(decoded).all()
