"""How accurate the lossy quantisers are, against bounds, brute force and numerical integration."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

import featcodec
from featcodec.quantisers.clip import search
from featcodec.quantisers.laplace import AsymmetricLaplace, error, fit
from featcodec.testing import check_round_trip

Doubles = npt.NDArray[np.float64]
FLOATS = ["float16", "float32", "float64"]


def features(dtype: str = "float32", seed: int = 0) -> npt.NDArray[np.floating]:
    return np.random.default_rng(seed).laplace(0.3, 1.5, (16, 14, 14)).astype(dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("bits", [1, 2, 7, 8, 9, 16])
def test_affine_errs_by_half_a_step_at_most(bits: int, dtype: str) -> None:
    array = features(dtype)
    decoded = check_round_trip(f"affine:bits={bits}", array).astype(np.float64)
    exact = array.astype(np.float64)
    step = (exact.max() - exact.min()) / (2**bits - 1)
    rounding = np.finfo(dtype).eps * np.abs(exact).max()
    assert np.abs(decoded - exact).max() <= step / 2 * (1 + 1e-6) + rounding
    assert (decoded.min(), decoded.max()) == (exact.min(), exact.max())


def test_affine_ranges_per_channel_follow_axis_minus_3() -> None:
    scales = np.array([1, 100, 0.01], np.float32)[:, None, None]
    batch = np.stack([features()[:3] * scales, features(seed=1)[:3] * scales])
    decoded = check_round_trip("affine:per=channel", batch)
    for channel in range(3):
        exact = batch[:, channel].astype(np.float64)
        step = (exact.max() - exact.min()) / 255
        assert np.abs(decoded[:, channel] - exact).max() <= step / 2 * 1.001
    (tensor,) = featcodec.info(featcodec.encode(batch, "affine:per=channel")).tensors
    assert len(tensor.params) == 3 * 2 * 4
    flat = batch.reshape(6, -1)
    assert np.array_equal(check_round_trip("affine:per=channel", flat), check_round_trip("affine", flat))


@pytest.mark.parametrize("codec", ["affine", "affine:bits=1", "affine:bits=16", "clip", "clip:levels=2"])
@pytest.mark.parametrize("dtype", FLOATS)
def test_extreme_ranges(codec: str, dtype: str) -> None:
    kind = np.finfo(dtype)
    for array in (
        np.full(300, 0.1, dtype),
        np.array([kind.min, 0, kind.max], dtype),
        np.linspace(-1, 1, 300).astype(dtype) * kind.max,
        np.array([0, kind.smallest_subnormal], dtype),
        np.arange(100).astype(dtype) * kind.smallest_subnormal,
        np.array([kind.max, np.nextafter(kind.max, kind.dtype.type(0))], dtype),
    ):
        decoded = check_round_trip(codec, array)
        assert np.isfinite(decoded).all()
        assert decoded.min() >= array.min()
        assert decoded.max() <= array.max()


def test_affine_keeps_denormals_apart() -> None:
    tiny = np.arange(100, dtype=np.float32) * np.finfo(np.float32).smallest_subnormal
    assert np.array_equal(check_round_trip("affine", tiny), tiny)


def test_relu_zeros_stay_zeros() -> None:
    array = np.maximum(features(), 0)
    for codec in ("affine:bits=3", "affine:bits=12", "affine:bits=3,per=channel"):
        assert (check_round_trip(codec, array)[array == 0] == 0).all()


@pytest.mark.parametrize("codec", ["float16", "bfloat16"])
def test_half_precision_keeps_what_it_can_and_refuses_what_it_cannot(codec: str) -> None:
    array = np.array([np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5], np.float32)
    decoded = check_round_trip(codec, array)
    assert np.array_equal(decoded, array, equal_nan=True)
    assert np.array_equal(np.signbit(decoded), np.signbit(array))
    with pytest.raises(featcodec.InputError, match="cannot represent"):
        featcodec.encode(np.array([1.0, 1e39]), codec)


def test_bfloat16_rounds_once_to_nearest_even() -> None:
    above = float.fromhex("0x1.01p0")  # a tie between 1.0 and the next bfloat16
    cases = {above: 1.0, np.nextafter(above, 2): 1 + 2**-7, 1 + 2**-7 + 2**-8: 1 + 2**-6}
    decoded = check_round_trip("bfloat16", np.array(list(cases)))
    assert decoded.tolist() == list(cases.values())


def test_float16_rounds_float64_once() -> None:
    tie = 1 + 2.0**-11
    assert check_round_trip("float16", np.array([tie, tie + 2.0**-40])).tolist() == [1.0, 1 + 2.0**-10]


@pytest.mark.parametrize("codec", ["float16", "bfloat16", "affine", "clip"])
def test_lossy_quantisers_say_which_dtypes_they_take(codec: str) -> None:
    with pytest.raises(featcodec.InputError, match="takes float16, float32, float64, not int16"):
        featcodec.encode(np.zeros(3, np.int16), codec)


@pytest.mark.parametrize(("left", "right"), [(0.7, 2.0), (1.0, 1.0), (0.05, 3.0)])
def test_fit_recovers_an_asymmetric_laplace(left: float, right: float) -> None:
    random = np.random.default_rng(3)
    side = random.random(200_000) < left / (left + right)
    spread = random.exponential(size=side.size)
    fitted = fit(np.sort(np.where(side, -left * spread, right * spread) + 1))
    assert fitted.mode == pytest.approx(1, abs=0.02)
    assert fitted.left == pytest.approx(left, rel=0.02)
    assert fitted.right == pytest.approx(right, rel=0.02)


DENSITIES = [
    AsymmetricLaplace(0.3, 0.05, 0.08),
    AsymmetricLaplace(0.5, 0.02, 0.02),
    AsymmetricLaplace(0.0, 0.0, 0.1),
    AsymmetricLaplace(0.6, 0.2, 0.01),
]


@pytest.mark.parametrize("density", DENSITIES, ids=str)
@pytest.mark.parametrize(("low", "high", "top"), [(0.1, 0.7, 3), (0.35, 0.9, 7), (0, 0.25, 2), (0.3, 0.3, 4)])
def test_expected_error_equals_the_integral(density: AsymmetricLaplace, low: float, high: float, top: int) -> None:
    x = np.linspace(-6, 8, 1_400_001)
    with np.errstate(divide="ignore", over="ignore"):
        below = np.exp((x - density.mode) / density.left) if density.left else np.zeros_like(x)
        shape = np.where(x < density.mode, below, np.exp(-(x - density.mode) / density.right))
    step = (high - low) / top or 1
    nearest = low + np.clip(np.rint((x - low) / step), 0, top) * (high - low) / top
    integral = np.trapezoid((x - nearest) ** 2 * shape, x) / (density.left + density.right)
    assert error(density, np.array(low), np.array(high), top) == pytest.approx(integral, rel=2e-4)


@pytest.mark.parametrize("density", DENSITIES, ids=str)
@pytest.mark.parametrize("top", [1, 2, 3, 15, 255])
def test_search_matches_brute_force(density: AsymmetricLaplace, top: int) -> None:
    low, high = search(density, top)
    grid = np.linspace(0, 1, 801)
    everywhere = error(density, grid[:, None], grid[None, :], top)
    everywhere[grid[:, None] > grid[None, :]] = np.inf
    found = float(error(density, np.array(low), np.array(high), top))
    assert 0 <= low <= high <= 1
    assert found <= everywhere.min() * 1.0005


@pytest.mark.parametrize("levels", [2, 4, 8, 16])
@pytest.mark.parametrize("tail", ["laplace", "student"])
def test_clip_beats_the_full_range_on_heavy_tails(levels: int, tail: str) -> None:
    random = np.random.default_rng(5)
    draw = random.laplace if tail == "laplace" else lambda size: random.standard_t(3, size)
    array = np.asarray(draw(size=(64, 14, 14)), np.float32)
    clipped = check_round_trip(f"clip:levels={levels}", array)
    full = check_round_trip(f"affine:bits={levels.bit_length() - 1}", array)
    assert np.mean((clipped - array) ** 2) < 0.7 * np.mean((full - array) ** 2)


@pytest.mark.parametrize("levels", [2, 4, 16])
def test_clip_is_near_the_best_range_for_the_data_itself(levels: int) -> None:
    array = np.random.default_rng(6).laplace(size=20_000).astype(np.float32)
    chosen = np.mean((check_round_trip(f"clip:levels={levels}", array) - array) ** 2)
    best = np.inf
    for low in np.linspace(array.min(), 0, 40):
        for high in np.linspace(0, array.max(), 40):
            step = max(high - low, 1e-9) / (levels - 1)
            nearest = low + np.clip(np.rint((array - low) / step), 0, levels - 1) * step
            best = min(best, float(np.mean((nearest - array) ** 2)))
    assert chosen <= 1.05 * best


@pytest.mark.parametrize("codec", ["affine", "clip"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_values_are_refused(codec: str, bad: float) -> None:
    array = features()
    array[3, 4, 5] = bad
    with pytest.raises(featcodec.NonFiniteError, match="NaN or infinity"):
        featcodec.encode(array, codec)


def test_large_arrays_take_the_blockwise_path() -> None:
    for shape in ((3, 300, 300), (70_000, 1, 1), (5, 2, 70_000), (2, 3, 100, 400)):
        array = np.random.default_rng(7).random(shape, np.float32)
        for codec in ("affine:per=channel", "affine:bits=12", "clip:levels=256"):
            assert np.abs(check_round_trip(codec, array) - array).max() < 0.02
