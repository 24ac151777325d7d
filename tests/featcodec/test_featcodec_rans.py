"""`rans`: round trips, escapes, fallback, corruption; the native coder equals its reference bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import featcodec
from featcodec import PayloadError
from featcodec._native import kernels
from featcodec.array_coders import rans, rans_core, rans_model
from featcodec.array_coders.bits import BitReader, BitWriter, get_list, put_list
from featcodec.array_coders.rans import Rans, decode_reference, encode_reference, view_of

Array = np.ndarray[Any, Any]
DTYPES = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


def transform_like(shape: tuple[int, ...] = (1, 80, 14, 14), seed: int = 0) -> Array:
    """Symbols of a transform codec: Laplacian, each channel narrower than the one before."""
    scale = np.exp(np.linspace(1, -3, shape[-3]))[:, None, None]
    return np.rint(np.random.default_rng(seed).laplace(0, 1, shape) * scale).astype(np.int16)


def check(values: Array) -> bytes:
    """Round trip through the coder and through its reference, which must agree; returns the payload."""
    coded = bytes(Rans().encode(values, None))
    view = view_of(values.shape)
    assert encode_reference(values.reshape(view)) == coded
    for decoded in (
        Rans().decode(memoryview(coded), values.shape, values.dtype, None),
        decode_reference(memoryview(coded), view, values.dtype),
    ):
        assert decoded.dtype == values.dtype
        assert decoded.tobytes() == values.tobytes()
    return coded


@given(st.data())
@settings(deadline=None, max_examples=150, derandomize=True, database=None)
def test_native_equals_reference(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(DTYPES))
    shape = tuple(data.draw(st.lists(st.integers(1, 6), min_size=1, max_size=4)))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    spread = data.draw(st.sampled_from([0.2, 1.0, 20.0, 1e3, 1e5, 1e12]))
    with np.errstate(all="ignore"):
        values = random.laplace(data.draw(st.sampled_from([0, 100])), spread, shape).astype(np.int64).astype(dtype)
    if data.draw(st.booleans()):
        ends = np.iinfo(dtype)
        values.reshape(-1)[random.integers(values.size)] = data.draw(st.sampled_from([ends.min, ends.max]))
    check(values)


@pytest.mark.parametrize("shape", [(1, 80, 14, 14), (2, 40, 9, 5), (16, 8, 8)])
def test_transform_symbols(shape: tuple[int, ...]) -> None:
    coded = check(transform_like(shape))
    assert coded[0] in (1, 2)


def test_a_transform_frame_costs_little_more_than_its_entropy() -> None:
    values = transform_like()
    scale = np.exp(np.linspace(1, -3, 80))
    edges = np.arange(-60, 62) - 0.5
    tail = 0.5 * np.exp(-np.abs(edges) / scale[:, None])
    below = np.where(edges < 0, tail, 1 - tail)
    mass = np.diff(below, axis=1)
    ideal = 196 * -(mass * np.log2(np.maximum(mass, 1e-300))).sum() / 8
    assert len(Rans().encode(values, None)) < 1.03 * ideal


@pytest.mark.parametrize("count", [1023, 1024, 65535, 65536, 65539])
def test_every_number_of_streams(count: int) -> None:
    check(np.random.default_rng(1).geometric(0.5, count).astype(np.uint8))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("extreme", ["min", "max", "both"])
def test_extreme_values_escape_or_fit(dtype: str, extreme: str) -> None:
    values = np.random.default_rng(2).integers(0, 5, (3, 20, 10)).astype(dtype)
    ends = np.iinfo(dtype)
    values[0, 0, 0] = ends.max if extreme == "max" else ends.min
    values[1, 3, 2] = ends.min if extreme == "min" else ends.max
    coded = check(values)
    assert len(coded) < 600 * 3.2 / 8 + 80, "outliers made the others expensive"


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_symbol(dtype: str) -> None:
    for value in (0, 7, np.iinfo(dtype).max, np.iinfo(dtype).min):
        assert len(check(np.full((2, 5, 10), value, dtype))) < 100
    check(np.full(1, 3, dtype))


@pytest.mark.parametrize("dtype", DTYPES)
def test_random_bytes_cost_one_more(dtype: str) -> None:
    values = np.frombuffer(np.random.default_rng(3).bytes(4096), dtype).copy()
    assert len(check(values)) <= values.nbytes + 1


def test_real_looking_unsigned_symbols_share_tables() -> None:
    random = np.random.default_rng(4)
    means, scales = random.uniform(40, 200, (24, 1, 1)), random.uniform(2, 20, (24, 1, 1))
    values = np.clip(np.rint(random.normal(means, scales, (24, 12, 12))), 0, 255).astype(np.uint8)
    assert len(check(values)) < 0.85 * values.nbytes


@pytest.mark.parametrize("weights", [[1], [1, 0], [1] * 4096, [1 << 40] + [1] * 1025, [3] * 7, [0, 5, 0, 1]])
def test_frequencies_sum_and_keep_every_symbol(weights: list[int]) -> None:
    made = rans_core.normalise(weights)
    assert sum(made) == rans_core.TOTAL
    assert [f > 0 for f in made] == [w > 0 for w in weights]


@pytest.mark.parametrize("weights", [[0], [0] * 9, [1] * 4097])
def test_tables_that_cannot_be(weights: list[int]) -> None:
    with pytest.raises(PayloadError, match="table without symbols"):
        rans_core.normalise(weights)


def test_a_table_of_zeros_in_a_payload() -> None:
    header = BitWriter()
    for value, bits in ((0, 6), (0, 7), (3, 10)):
        header.put(value, bits)
    header.gamma(0)
    put_list(header, [0] * 5)
    header.gamma(0)
    refused(bytes([1]) + header.take() + bytes(4), (4,), "uint8", "table without symbols")


def refused(payload: bytes, shape: tuple[int, ...], dtype: str, match: str) -> None:
    """Both decoders raise PayloadError."""
    with pytest.raises(PayloadError, match=match):
        Rans().decode(memoryview(payload), shape, np.dtype(dtype), None)
    with pytest.raises(PayloadError, match=match):
        decode_reference(memoryview(payload), view_of(shape), np.dtype(dtype))


def outcome(payload: bytes, values: Array, native: bool) -> bytes | None:
    """The bytes of what it decodes to, or None where it is refused."""
    try:
        if native:
            return Rans().decode(memoryview(payload), values.shape, values.dtype, None).tobytes()
        return decode_reference(memoryview(payload), view_of(values.shape), values.dtype).tobytes()
    except PayloadError:
        return None


CORPUS = {
    "parametric": transform_like((4, 6, 6)),
    "explicit": np.random.default_rng(5).choice(np.array([3, 90, 91, 250], np.uint8), 120),
    "shifted": np.random.default_rng(6).normal(0, 3000, 100).astype(np.int32),
    "escapes": np.where(np.arange(100) % 50, np.arange(100) % 3, -(1 << 40)),
    "raw": np.frombuffer(np.random.default_rng(7).bytes(20), np.uint8).copy(),
}


@pytest.mark.parametrize("name", CORPUS)
def test_truncations_and_bytes_left_over_are_refused(name: str) -> None:
    coded = check(CORPUS[name])
    for payload in (*(coded[:size] for size in range(len(coded))), coded + b"\0", coded + coded):
        for native in (True, False):
            assert outcome(payload, CORPUS[name], native) is None


@pytest.mark.parametrize("name", CORPUS)
def test_both_decoders_agree_on_every_changed_byte(name: str) -> None:
    coded = check(CORPUS[name])
    for position in range(len(coded)):
        for mask in (1, 0x10, 0x80, 0xFF):
            changed = bytearray(coded)
            changed[position] ^= mask
            payload = bytes(changed)
            assert outcome(payload, CORPUS[name], True) == outcome(payload, CORPUS[name], False), (position, mask)


@given(st.binary(max_size=60), st.sampled_from(DTYPES))
@settings(deadline=None, max_examples=200, derandomize=True, database=None)
def test_both_decoders_agree_on_noise(payload: bytes, dtype: str) -> None:
    values = np.zeros((3, 4, 5), dtype)
    assert outcome(payload, values, True) == outcome(payload, values, False)


@pytest.mark.parametrize("mode", [5, 255])
def test_unknown_modes(mode: int) -> None:
    refused(bytes([mode]) + bytes(20), (4,), "int16", "unknown mode")
    refused(b"", (4,), "int16", "cut short")


def test_symbols_at_odd_addresses() -> None:
    values = transform_like((4, 6, 6))
    odd = np.frombuffer(b"\0" + values.tobytes(), np.int16, offset=1).reshape(values.shape)
    assert not odd.flags.aligned
    assert check(odd) == check(values)


def test_the_family_is_made_of_proper_tables() -> None:
    for shape in range(4):
        for scale in range(40):
            table, reach = rans_model.member(shape, scale)
            assert sum(table) == rans_core.TOTAL
            assert len(table) == 2 * reach + 2
            assert min(table) >= 1


@given(st.lists(st.integers(-(1 << 23), 1 << 23), max_size=50))
@settings(deadline=None, derandomize=True, database=None)
def test_lists(values: list[int]) -> None:
    out = BitWriter()
    put_list(out, values)
    source = BitReader(memoryview(out.take()))
    assert get_list(source, len(values), -(1 << 23), 1 << 23) == values


def test_without_the_extension_frames_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    array = np.random.default_rng(8).laplace(0, 1, (1, 4, 8, 8)).astype(np.float32)
    native = featcodec.encode(array, "affine:bits=8|rans")
    monkeypatch.setattr(rans, "kernels", None)
    assert featcodec.encode(array, "affine:bits=8|rans") == native
    assert featcodec.decode(native).shape == array.shape


@pytest.mark.skipif(kernels is None, reason="the extension module was not built")
def test_the_kernel_checks_sizes() -> None:
    with pytest.raises(ValueError, match="size and shape differ"):
        kernels.rans_encode(np.zeros(7, np.uint8), 2, True, 1, 1, 4)
    with pytest.raises(ValueError, match="1, 2, 4 or 8"):
        kernels.rans_encode(np.zeros(6, np.uint8), 3, True, 1, 1, 2)
    with pytest.raises(ValueError, match="size and shape differ"):
        kernels.rans_decode(np.zeros(7, np.uint8), 1, True, 1 << 32, 1 << 32, 1, np.zeros(4, np.uint8))
