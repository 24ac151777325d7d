"""`floats`: lossless to the bit, fallback, corruption; the native coder equals its reference bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import featcodec
from featcodec import PayloadError
from featcodec._native import kernels
from featcodec.array_coders import floats, floats_reference
from featcodec.array_coders.bits import BitWriter, put_list
from featcodec.array_coders.ctx import view
from featcodec.array_coders.floats import Floats
from featcodec.array_coders.floats_model import BFLOAT16, FLOAT16, FLOAT32, Format
from featcodec.testing import check_config, check_repr, check_round_trip

Array = np.ndarray[Any, Any]
FORMATS: dict[str, Format] = {"float32": FLOAT32, "float16": FLOAT16, "uint16": BFLOAT16}


def biased(shape: tuple[int, ...] = (4, 12, 12), relu: bool = False, seed: int = 0) -> Array:
    """Smooth maps with a bias added last, as convolutions leave them: small values lack low bits."""
    random = np.random.default_rng(seed)
    rough = random.standard_normal(shape).astype(np.float32).cumsum(-1, dtype=np.float32)
    summed: Array = rough + random.uniform(-8, 8, (*shape[:-2], 1, 1)).astype(np.float32)
    return np.maximum(summed, 0) if relu else summed


def as_dtype(values: Array, dtype: str) -> Array:
    """float32 values in a dtype that the coder takes."""
    with np.errstate(all="ignore"):
        return (values.view(np.uint32) >> 16).astype(np.uint16) if dtype == "uint16" else values.astype(dtype)


def check(values: Array) -> bytes:
    """Round trip through the coder and through its reference, which must agree; returns the payload."""
    coded = bytes(Floats().encode(values, None))
    form, shape = FORMATS[values.dtype.name], view(values.shape)
    bits = np.ascontiguousarray(values).view(f"<u{values.dtype.itemsize}").reshape(shape)
    reference = floats_reference.encode(bits, form)
    assert coded == (reference if len(reference) <= values.nbytes else b"\0" + values.tobytes())
    decoded = Floats().decode(memoryview(coded), values.shape, values.dtype, None)
    assert decoded.dtype == values.dtype
    assert decoded.tobytes() == values.tobytes()
    assert floats_reference.decode(memoryview(reference)[1:], shape, form).tobytes() == values.tobytes()
    return coded


@given(st.data())
@settings(deadline=None, max_examples=150, derandomize=True, database=None)
def test_native_equals_reference(data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 8), min_size=1, max_size=4)))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    values = random.standard_normal(shape).astype(np.float32)
    kind = data.draw(st.sampled_from(["plain", "any", "wide", "relu", "steps", "denormal", "repeats"]))
    with np.errstate(all="ignore"):
        if kind == "any":
            values = random.integers(0, 1 << 32, shape, np.uint32).view(np.float32)
        elif kind == "wide":
            values *= np.float32(10) ** random.integers(-44, 38, shape).astype(np.float32)
        elif kind == "relu":
            values = np.maximum(values, 0)
        elif kind == "steps":
            values = np.rint(3 * values)
        elif kind == "denormal":
            values *= np.float32(1e-42)
        elif kind == "repeats":
            values = np.sort(values.reshape(-1).repeat(3)[: values.size]).reshape(shape)
    check(as_dtype(values, data.draw(st.sampled_from(list(FORMATS)))))


@pytest.mark.parametrize("dtype", FORMATS)
@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("shape", [(3, 34, 34), (2, 3, 14, 14), (1, 2, 600), (600,), (3, 700, 1), (9, 90, 1, 1)])
def test_every_kind_of_map(shape: tuple[int, ...], relu: bool, dtype: str) -> None:
    values = biased((*(1,) * (2 - len(shape)), *shape), relu).reshape(shape)
    assert check(as_dtype(values, dtype))[0] == 1


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_specials_survive_among_ordinary_values(dtype: str) -> None:
    values = biased((3, 20, 20)).astype(dtype)
    kind = f"u{values.itemsize}"
    nan = np.array([np.nan, -np.nan], dtype).view(kind) | 1
    ends = np.array([np.inf, -np.inf, -0.0, 0.0, np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal], dtype)
    odd = np.concatenate([nan, ends.view(kind)])
    values.reshape(-1).view(kind)[7 : 7 + 11 * odd.size : 11] = odd
    assert len(check(values)) < values.nbytes
    check_round_trip("none|floats", values)


@pytest.mark.parametrize("dtype", FORMATS)
def test_one_value(dtype: str) -> None:
    for value in (0.0, -0.0, 1.0, np.nan, np.inf, 1e-40, 3e38):
        same = as_dtype(np.full((2, 10, 10), value, np.float32), dtype)
        assert len(check(same)) < same.nbytes / 2
        check(as_dtype(np.full(1, value, np.float32), dtype))


@pytest.mark.parametrize("dtype", FORMATS)
def test_random_bits_cost_one_byte(dtype: str) -> None:
    noise = np.frombuffer(np.random.default_rng(3).bytes(4096), dtype).copy()
    assert len(check(noise)) == noise.nbytes + 1


def test_bits_that_a_bias_takes_away_are_not_coded() -> None:
    random = np.random.default_rng(4)
    noise = random.standard_normal((4, 24, 24)).astype(np.float32)
    shifted = (noise + np.float32(300)) - np.float32(300)
    assert len(check(shifted)) < 0.75 * len(check(noise))


def test_zeros_and_repeats_are_cheap() -> None:
    values = biased((4, 24, 24), relu=True)
    values[:, ::2] = 0
    assert len(check(values)) < 0.5 * values.nbytes
    repeated = biased((4, 24, 24)).repeat(6, axis=2)
    assert len(check(repeated)) < 0.25 * repeated.nbytes


def test_a_few_huge_and_tiny_values_do_not_make_the_others_expensive() -> None:
    values = biased((4, 40, 40))
    before = len(check(values))
    values[1, 3, 5], values[2, 0, 0], values[2, 7, 7] = 3e38, -1e30, 1e-44
    assert len(check(values)) < before + 40


@pytest.mark.parametrize("spec", ["none|floats", "float16|floats", "bfloat16|floats"])
def test_specs(spec: str) -> None:
    coded = check_round_trip(spec, biased())
    assert coded.shape == (4, 12, 12)
    check_config(Floats())
    check_repr(Floats())


@pytest.mark.parametrize("dtype", ["float64", "int32", "uint8"])
def test_other_dtypes_are_refused(dtype: str) -> None:
    with pytest.raises(featcodec.InputError, match="floats takes"):
        featcodec.encode(np.zeros(3, dtype), "none|floats")


def outcome(payload: bytes, values: Array, native: bool) -> bytes | None:
    """The bytes of what it decodes to, or None where it is refused."""
    with pytest.MonkeyPatch.context() as patch:
        if not native:
            patch.setattr(floats, "kernels", None)
        try:
            return Floats().decode(memoryview(payload), values.shape, values.dtype, None).tobytes()
        except PayloadError:
            return None


CORPUS = {
    "dense": biased((2, 5, 6)),
    "relu": biased((2, 5, 6), relu=True),
    "repeats": biased((1, 3, 6)).repeat(3, axis=2),
    "escapes": np.where(np.arange(60) % 30, np.arange(60) % 7 + 0.5, 1e30).astype(np.float32).reshape(1, 6, 10),
    "half": biased((2, 5, 6)).astype(np.float16),
    "raw": np.frombuffer(np.random.default_rng(7).bytes(20), np.float32).copy(),
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


@given(st.binary(max_size=80), st.sampled_from(list(FORMATS)))
@settings(deadline=None, max_examples=200, derandomize=True, database=None)
def test_both_decoders_agree_on_noise(noise: bytes, dtype: str) -> None:
    values = np.zeros((2, 3, 4), dtype)
    assert outcome(b"\1" + noise, values, True) == outcome(b"\1" + noise, values, False)


@given(st.data())
@settings(deadline=None, max_examples=200, derandomize=True, database=None)
def test_both_decoders_agree_on_forged_headers(data: st.DataObject) -> None:
    """Every header that parses, before noise that is long enough to be decoded for a while."""
    dtype = data.draw(st.sampled_from(list(FORMATS)))
    form, header = FORMATS[dtype], BitWriter()
    header.put(data.draw(st.integers(1, form.most)), 8)
    for bits, most in ((1, 1), (1, 1), (2, 3), (6, 36), (2, 3)):
        header.put(data.draw(st.integers(0, most)), bits)
    for _ in range(2):
        put_list(header, data.draw(st.lists(st.integers(0, form.most + form.mantissa), min_size=2, max_size=2)))
    header.put(data.draw(st.integers(0, 255)), 8)
    header.gamma(20)
    noise = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1))).bytes(12 + 40 + data.draw(st.integers(0, 90)))
    values = np.zeros((2, 3, 4), dtype)
    payload = b"\1" + header.take() + noise
    assert outcome(payload, values, True) == outcome(payload, values, False)


def test_what_is_no_payload() -> None:
    for payload, says in ((b"", "cut short"), (b"\2" + bytes(20), "unknown mode"), (b"\0" * 4, "raw values")):
        with pytest.raises(PayloadError, match=says):
            Floats().decode(memoryview(payload), (4,), np.dtype(np.float32), None)


def test_values_at_odd_addresses() -> None:
    values = biased((2, 6, 6))
    odd = np.frombuffer(b"\0" + values.tobytes(), np.float32, offset=1).reshape(values.shape)
    assert not odd.flags.aligned
    assert bytes(Floats().encode(odd, None)) == check(values)


def test_without_the_extension_frames_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    array = biased()
    native = featcodec.encode(array, "none|floats")
    monkeypatch.setattr(floats, "kernels", None)
    assert featcodec.encode(array, "none|floats") == native
    assert featcodec.decode(native).tobytes() == array.tobytes()


@pytest.mark.skipif(kernels is None, reason="the extension module was not built")
def test_the_kernel_checks_its_arguments() -> None:
    with pytest.raises(ValueError, match="exponents have"):
        kernels.floats_encode(np.zeros((1, 2, 2), np.uint32), 5)
    with pytest.raises(ValueError, match="without elements"):
        kernels.floats_encode(np.zeros((1, 0, 2), np.uint16), 8)
