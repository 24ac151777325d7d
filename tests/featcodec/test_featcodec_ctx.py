"""`ctx`: the kernel equals the reference, whatever the symbols; damaged streams are errors or bounded arrays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import featcodec
from featcodec._native import kernels
from featcodec.array_coders import ctx, ctx_reference
from featcodec.array_coders.ctx_adaptive import Mixer, WideMixer
from featcodec.array_coders.ctx_solver import Solver
from featcodec.contract import Array
from featcodec.testing import check_round_trip, with_checksum
from featcodec.testing.forge import small_frame

NATIVE = pytest.mark.skipif(kernels is None, reason="the extension module was not built")
GOLDEN = Path(__file__).parent.parent / "golden" / "v1"


def related(levels: int, shape: tuple[int, int, int] = (6, 12, 12), relu: bool = False, seed: int = 3) -> Array:
    """Smooth maps that share a pattern, like the channels of a network."""
    random = np.random.default_rng(seed)
    rough = random.standard_normal((shape[0] + 1, *shape[1:])).cumsum(1).cumsum(2)
    mixed = rough[1:] * 0.3 * random.choice([-1, 1], (shape[0], 1, 1)) + rough[:1]
    mixed = np.maximum(mixed, 0) if relu else mixed - mixed.min()
    scaled: Array = np.rint(mixed / max(float(mixed.max()), 1e-9) * (levels - 1)).astype(np.uint16)
    return scaled


@contextmanager
def reference() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ctx, "kernels", None)
        yield


def check_both(values: Array, levels: int) -> int:
    """Kernel and reference give the same bytes and decode them; their number."""
    stream = ctx_reference.encode(values, levels)
    decoded = np.empty_like(values)
    ctx_reference.decode(stream, levels, decoded, ctx_reference.MODE)
    np.testing.assert_array_equal(decoded, values)
    if kernels is not None:
        assert kernels.ctx_encode(values, levels) == stream
        decoded[:] = 0
        assert kernels.ctx_decode(np.frombuffer(stream, np.uint8), levels, decoded, ctx_reference.MODE)
        np.testing.assert_array_equal(decoded, values)
    return len(stream)


@settings(max_examples=60)
@given(
    values=hnp.arrays(np.uint16, hnp.array_shapes(min_dims=3, max_dims=3, max_side=9), elements=st.integers(0, 65535)),
    bits=st.integers(1, 16),
)
def test_kernel_equals_reference(values: Array, bits: int) -> None:
    check_both(values >> (16 - bits), 1 << bits)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("levels", [2, 16, 200, 256, 5000, 65536])
def test_kernel_equals_reference_on_related_channels(levels: int, relu: bool) -> None:
    values = related(levels, relu=relu)
    limit = values.size * (levels - 1).bit_length() / 8
    assert check_both(values, levels) < limit * (1 if levels < 65536 else 1.03)


@pytest.mark.parametrize("shape", [(3, 34, 34), (2, 1, 600), (1, 600, 1), (140, 4, 4), (5, 2, 2)])
def test_kernel_equals_reference_on_every_kind_of_map(shape: tuple[int, int, int]) -> None:
    check_both(related(64, shape), 64)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("levels", [2, 3, 4, 16, 300, 2048, 2049])
def test_kernel_equals_reference_on_large_maps(levels: int, relu: bool) -> None:
    """Only these have flags for the likeliest value; from 2,049 levels a step is no whole tap, and there are none."""
    values = related(levels, (3, 33, 34), relu=relu)
    assert check_both(values, levels) < values.size * (levels - 1).bit_length() / 8


def test_large_maps_that_turn_into_their_opposite() -> None:
    """Sure flags that come out wrong move weights, probabilities and biases as far as they go, within 32 bits."""
    columns = np.arange(2200) // 550 % 2
    for levels in (2, 16, 2048):
        for low in (0, 1):
            values = np.full((2, 2, 2200), low * (levels > 2), np.uint16)
            values[0, :, columns == 1] = levels - 1
            values[1, :, columns == 0] = levels - 1
            check_both(values, levels)


def test_related_channels_are_referred_to() -> None:
    one = np.random.default_rng(1).integers(0, 256, (1, 32, 32)).astype(np.uint16)
    twice = np.concatenate([one, one])
    assert check_both(twice, 256) < 1.8 * check_both(one, 256)


@pytest.mark.parametrize("dtype", ["bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"])
def test_values_at_both_ends_of_a_dtype(dtype: str) -> None:
    ends = (False, True) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    for low in ends:
        check_round_trip("none|ctx", np.full((3, 5, 5), low, dtype))
        check_round_trip("none|ctx", np.array(low, dtype))
        one_off = np.full((3, 5, 5), low, dtype)
        one_off[1, 2, 3] = not low if dtype == "bool" else (1 if low <= 0 else low - 1)
        check_round_trip("none|ctx", one_off)
    check_round_trip("none|ctx", np.array([ends] * 40, dtype))


def test_floats_are_refused() -> None:
    with pytest.raises(featcodec.InputError, match="ctx takes"):
        featcodec.encode(np.zeros(3, np.float32), "none|ctx")


@pytest.mark.parametrize("shape", [(70000,), (7, 31, 31), (1, 70000, 1)])
def test_random_bytes_cost_one_byte_more_than_raw(shape: tuple[int, ...]) -> None:
    noise = np.random.default_rng(2).integers(0, 256, shape).astype(np.uint8)
    coded = check_round_trip("none|ctx", noise)
    assert coded.shape == shape
    assert len(bytes(ctx.Ctx().encode(noise, None))) <= noise.size + 1


def test_frequencies_do_not_overflow_at_the_widest_distributions() -> None:
    """A probability times 2^20 needs more than 32 bits."""
    values = np.random.default_rng(4).choice([0, 1, 32768, 65535], (3, 8, 8)).astype(np.uint16)
    check_both(values, 65536)


def test_negative_correlations_are_not_biased() -> None:
    """Shifting a negative number right rounds down: a channel and its mirror image must cost alike."""
    values = related(256, (4, 20, 20))
    mirrored = (255 - values).astype(np.uint16)
    assert check_both(mirrored, 256) == pytest.approx(check_both(values, 256), rel=0.03)


def test_the_first_scale_has_the_units_of_the_others() -> None:
    """Few symbols of small range must not pay for a scale in other units."""
    for levels in (4, 16, 256):
        values = (np.arange(64).reshape(1, 8, 8) % 2 * (levels // 8)).astype(np.uint16)
        values[0, 0, 0] = levels - 1
        assert check_both(values, levels) <= 64


@pytest.mark.parametrize("kind", [Mixer, WideMixer])
def test_mixed_weights_are_bounded(kind: type[Mixer]) -> None:
    """So that a mixture of the surest probabilities fits 32 bits, and the weights of mode 4 fit 16."""
    mixer, sure = kind(), [3328, 3328, 3328]
    for one in [True, False] * 50_000:
        mixer.update(sure, 16 if one else 65520, one)
        assert 0 < mixer.mix(sure) < 65536
    for _ in range(1000):
        mixer.update(sure, 16, True)
    assert sum(max(mixer._weight) * each for each in sure) < 1 << 31
    assert kind is WideMixer or max(mixer._weight) == 32767


def test_sums_of_many_extreme_pixels_between_two_solutions() -> None:
    """From some 16,000 pixels on, weights are solved so seldom that the kernel's 32-bit sums would run over."""
    rows, columns = np.indices((120, 250))
    edges = (np.stack([rows + columns, rows, columns // 2]) % 2 * 2047).astype(np.uint16)
    edges[:, 60:, ::7] = 2047
    check_both(edges, 2048)


def test_equal_taps_solve_to_bounded_weights() -> None:
    solver = Solver(10, 20, seldom=True)
    solver.start(19)
    solver.add(np.full((19, 256), 2047), np.full(256, -2048))
    solver.refresh()
    assert all(abs(weight) <= 32767 for weight in solver.weight)


@pytest.mark.parametrize("native", [pytest.param(True, marks=NATIVE), False])
def test_damaged_streams_are_errors_or_bounded_arrays(native: bool) -> None:
    whole = small_frame("affine:bits=4|ctx")
    model = featcodec.encode(related(16, (2, 5, 5)).astype(np.uint8), "none|ctx")
    frames = [with_checksum(one[:length]) for one in (whole, model) for length in range(len(one) - 4)]
    for one in (whole, model):
        for position in range(5, len(one) - 4):
            for mask in (0x01, 0x80, 0xFF):
                changed = bytearray(one[:-4])
                changed[position] ^= mask
                frames.append(with_checksum(bytes(changed)))
    limits = featcodec.Limits(decoded_bytes=4096, elements=4096)
    with pytest.MonkeyPatch.context() as patch:
        if not native:
            patch.setattr(ctx, "kernels", None)
        for frame in frames:
            try:
                assert featcodec.decode(frame, limits=limits).size <= 4096
            except featcodec.FeatcodecError:
                continue


@NATIVE
@settings(max_examples=60)
@given(
    noise=st.binary(max_size=80),
    levels=st.sampled_from([2, 3, 16, 256, 65536]),
    shape=st.sampled_from([(3, 5, 5), (2, 3, 400)]),
    mode=st.sampled_from([2, 3, 4]),
)
def test_noise_decodes_alike_or_not_at_all(noise: bytes, levels: int, shape: tuple[int, int, int], mode: int) -> None:
    native, slow = np.zeros(shape, np.uint16), np.zeros(shape, np.uint16)
    good = kernels.ctx_decode(np.frombuffer(noise, np.uint8), levels, native, mode)
    try:
        ctx_reference.decode(noise, levels, slow, mode)
    except featcodec.PayloadError:
        assert not good
    else:
        assert good
        np.testing.assert_array_equal(native, slow)


@pytest.mark.parametrize("name", [path.stem for path in sorted(GOLDEN.glob("ctx*.fcf"))])
def test_the_reference_decodes_golden_frames_of_every_mode(name: str) -> None:
    with reference():
        decoded = featcodec.decode((GOLDEN / f"{name}.fcf").read_bytes())
    np.testing.assert_array_equal(decoded, np.load(GOLDEN / f"{name}.npy"))


def test_modes_that_no_encoder_writes_are_refused() -> None:
    payload = memoryview(bytes([5, 0, 15, 0]) + bytes(20))
    with pytest.raises(featcodec.PayloadError, match="mode 5"):
        ctx.Ctx().decode(payload, (2, 5, 5), np.dtype(np.uint8), None)


@NATIVE
def test_frames_of_the_reference_and_the_kernel_are_the_same() -> None:
    features = np.random.default_rng(6).laplace(size=(4, 10, 10)).astype(np.float32)
    for spec in ("affine:bits=8|ctx", "clip:levels=16|ctx"):
        native = featcodec.encode(features, spec)
        with reference():
            assert featcodec.encode(features, spec) == native
            slow = featcodec.decode(native)
        assert slow.tobytes() == featcodec.decode(native).tobytes()


@NATIVE
def test_the_kernel_checks_its_arguments() -> None:
    values = np.full((1, 2, 2), 9, np.uint16)
    with pytest.raises(ValueError, match="below levels"):
        kernels.ctx_encode(values, 9)
    with pytest.raises(ValueError, match="levels must"):
        kernels.ctx_decode(np.zeros(3, np.uint8), 70000, values, 3)
    with pytest.raises(ValueError, match="65536 wide"):
        kernels.ctx_encode(np.zeros((1, 1, 65537), np.uint16), 2)
    with pytest.raises(ValueError, match="modes"):
        kernels.ctx_decode(np.zeros(3, np.uint8), 16, values, 5)
