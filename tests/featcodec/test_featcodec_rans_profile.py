"""`rans` with a profile's tables: any symbols, both implementations alike, hostile payloads, bytes of overhead."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import featcodec
from featcodec import PayloadError, TransformProfile, make_profile
from featcodec._native import kernels
from featcodec.array_coders import rans_profile
from featcodec.array_coders.rans import Rans
from featcodec.array_coders.rans_profile import CONTEXTS, ORDER_0, decode_reference, encode_reference
from featcodec.profile_checks import NAMES
from featcodec.profile_step import ProfileAtStep
from featcodec.quantisers import transform
from featcodec.testing import synthetic_profile, synthetic_symbols

Array = np.ndarray[Any, Any]
INT16 = np.dtype("<i2")


def with_arrays(profile: TransformProfile, **changed: Any) -> TransformProfile:
    return make_profile(**({name: getattr(profile, name) for name in NAMES} | changed), metadata={})


def heavy() -> TransformProfile:
    """The largest weights, the strongest prior: numerators of 32 bits."""
    near = [[i, j, u, v] for i in (0, 1) for j in (0, 1) for u in (0, 1) for v in (0, 1)]
    profile = synthetic_profile(70, (4, 4), (2, 2))
    return with_arrays(
        profile, context_offsets=near, context_weights=np.full((16, 2), 255), context_prior=[1 << 20, 512]
    )


def few_symbols() -> TransformProfile:
    """Tables of which some lack even 0: everything else is escaped."""
    rows = [[16383, 0, 0, 1], [0, 0, 0, 16384], [0, 16000, 0, 384], [4096, 4096, 4096, 4096]]
    return with_arrays(
        synthetic_profile(4, (4, 4), (2, 2)), tables=rows, points=np.zeros((4, 1)), expected=[0, 1, 64, 8128]
    )


PROFILES = {
    "blocks": synthetic_profile(4, (6, 9), (3, 3)),
    "one-block": synthetic_profile(9, (5, 4), (5, 4)),
    "no-contexts": synthetic_profile(4, (4, 4), (2, 2), contexts=False),
    "one-value": synthetic_profile(1, (1, 1), (1, 1)),
    "one-channel": synthetic_profile(1, (6, 6), (2, 2)),
    "heavy": heavy(),
    "few-symbols": few_symbols(),
}


def check(symbols: Array, at_step: ProfileAtStep) -> dict[int, bytes]:
    """Round trip of both modes through the coder and its reference, which must agree; the payloads by context."""
    payloads = {}
    for context in (0, 1):
        coded = bytes(Rans(context=context).encode(symbols, at_step))
        assert encode_reference(symbols, at_step, contexts=context == 1) == coded
        decoded = Rans().decode(memoryview(coded), symbols.shape, INT16, at_step)
        assert decoded.dtype == INT16
        assert decoded.tobytes() == symbols.tobytes()
        assert decoded.flags.c_contiguous
        if coded[0]:
            assert coded[0] == (CONTEXTS if context and at_step.contexts else ORDER_0)
            assert decode_reference(memoryview(coded), symbols.shape, at_step).tobytes() == symbols.tobytes()
        payloads[context] = coded
    return payloads


@given(st.sampled_from(sorted(PROFILES)), st.data())
@settings(deadline=None, max_examples=200, derandomize=True, database=None)
def test_any_int16_symbols(name: str, data: st.DataObject) -> None:
    profile = PROFILES[name]
    step = data.draw(st.sampled_from([0.001, 0.1, 1.0, 1.75, 1024.0]))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    spread = data.draw(st.sampled_from([0.1, 1.0, 8.0, 300.0, 32767.0]))
    values = np.clip(random.laplace(0, spread, profile.symbols_shape).round(), -32768, 32767).astype(INT16)
    if data.draw(st.booleans()):
        values.reshape(-1)[random.integers(values.size)] = data.draw(st.sampled_from([-32768, 32767, 127, -128]))
    if data.draw(st.booleans()):
        values[:, data.draw(st.integers(0, values.shape[1] - 1)) :] = 0
    check(values, profile.at(step))


@pytest.mark.parametrize("name", PROFILES)
def test_extremes(name: str) -> None:
    profile = PROFILES[name]
    for value in (0, 1, -1, 31, -32, 32767, -32768):
        payloads = check(np.full(profile.symbols_shape, value, INT16), profile.at(1.0))
        assert max(map(len, payloads.values())) <= 1 + 2 * np.prod(profile.symbols_shape)


@pytest.mark.parametrize("shape", [(85, (257, 3), (257, 1)), (128, (32, 16), (8, 8))])
def test_one_state_or_four(shape: Any) -> None:
    profile = synthetic_profile(*shape)
    check(synthetic_symbols(profile, 1.75), profile.at(1.75))


def ideal_bytes(symbols: Array, at_step: ProfileAtStep, tables: Array) -> float:
    """Entropy by the tables; an escape is followed by a length of 4 bits and the bits below the leading one."""
    folded = np.where(symbols >= 0, 2 * symbols.astype(int), -2 * symbols.astype(int) - 1)
    escape = at_step.profile.tables.shape[1] - 1
    counts = at_step.profile.tables[tables, np.minimum(folded, escape)]
    escaped = (counts == 0) | (folded >= escape)
    counts = np.where(escaped, at_step.profile.tables[tables, escape], counts)
    extra = np.where(escaped, 4 + np.maximum(np.log2(np.maximum(folded, 1)).astype(int), 1), 0)
    return float((extra - np.log2(counts / 16384)).sum() / 8)


def test_a_payload_is_its_entropy_and_little_more() -> None:
    profile = synthetic_profile(80, (14, 14), (14, 14))
    at_step = profile.at(1.75)
    lengths: dict[int, list[float]] = {0: [], 1: []}
    for seed in range(4):
        symbols = synthetic_symbols(profile, 1.75, seed=seed)
        payloads = check(symbols, at_step)
        for context, tables in (
            (0, np.broadcast_to(at_step.tables, symbols.shape)),
            (1, at_step.context_tables(symbols)),
        ):
            lengths[context].append(len(payloads[context]) - ideal_bytes(symbols, at_step, tables))
    assert max(lengths[0] + lengths[1]) < 3, "bytes beside the entropy: the mode, and the state's unused bits"


def test_contexts_help_where_magnitudes_are_alike() -> None:
    profile = synthetic_profile(80, (14, 14), (14, 14))
    payloads = check(synthetic_symbols(profile, 1.75), profile.at(1.75))
    assert len(payloads[1]) < len(payloads[0])


def test_zeros_cost_one_byte() -> None:
    profile = synthetic_profile(80, (7, 7), (7, 7))
    assert check(np.zeros(profile.symbols_shape, INT16), profile.at(8.0)) == {0: b"\3", 1: b"\4"}


def test_symbols_of_another_tensor_fall_back() -> None:
    at_step = PROFILES["blocks"].at(1.0)
    for other in (np.zeros((3, 4, 5), INT16), np.zeros((6, 9, 4), np.uint8)):
        coded = bytes(Rans().encode(other, at_step))
        assert coded == bytes(Rans().encode(other, None))
        assert coded[0] < ORDER_0


def outcome(payload: bytes, at_step: ProfileAtStep, native: bool) -> bytes | None:
    """What it decodes to, or None where it is refused."""
    shape = at_step.profile.symbols_shape
    try:
        if native:
            return Rans().decode(memoryview(payload), shape, INT16, at_step).tobytes()
        return decode_reference(memoryview(payload), shape, at_step).tobytes()
    except PayloadError:
        return None


CORPUS = ["blocks", "one-block", "few-symbols"]


@pytest.mark.parametrize("name", CORPUS)
def test_truncations_and_bytes_left_over_are_refused(name: str) -> None:
    at_step = PROFILES[name].at(1.0)
    symbols = synthetic_symbols(PROFILES[name], 1.0)
    for coded in check(symbols, at_step).values():
        assert coded[0] in rans_profile.MODES
        for payload in (*(coded[:size] for size in range(1, len(coded))), coded + b"\0", coded + b"\1\1"):
            for native in (True, False):
                assert outcome(payload, at_step, native) != symbols.tobytes()
        with pytest.raises(PayloadError, match="cut short"):
            Rans().decode(memoryview(b""), symbols.shape, INT16, at_step)


@pytest.mark.parametrize("name", CORPUS)
def test_both_decoders_agree_on_every_changed_byte(name: str) -> None:
    at_step = PROFILES[name].at(1.0)
    for coded in check(synthetic_symbols(PROFILES[name], 1.0), at_step).values():
        for position in range(1, len(coded)):
            for mask in (1, 0x10, 0x80, 0xFF):
                changed = bytearray(coded)
                changed[position] ^= mask
                payload = bytes(changed)
                assert outcome(payload, at_step, True) == outcome(payload, at_step, False), (position, mask)


@given(st.sampled_from(sorted(PROFILES)), st.sampled_from(rans_profile.MODES), st.binary(max_size=80))
@settings(deadline=None, max_examples=300, derandomize=True, database=None)
def test_both_decoders_agree_on_noise(name: str, mode: int, noise: bytes) -> None:
    at_step = PROFILES[name].at(0.5)
    payload = bytes([mode]) + noise
    assert outcome(payload, at_step, True) == outcome(payload, at_step, False)


def test_modes_that_need_what_is_not_there() -> None:
    profile = PROFILES["no-contexts"]
    shape, zeros = profile.symbols_shape, memoryview(b"\4")
    with pytest.raises(PayloadError, match="its profile has none"):
        Rans().decode(zeros, shape, INT16, profile.at(1.0))
    for mode in rans_profile.MODES:
        with pytest.raises(PayloadError, match="needs a profile"):
            Rans().decode(memoryview(bytes([mode])), shape, INT16, None)
        with pytest.raises(PayloadError, match="needs a profile"):
            Rans().decode(memoryview(bytes([mode])), (5, 5, 5), INT16, profile.at(1.0))


def test_without_the_extension_frames_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = PROFILES["blocks"]
    symbols = synthetic_symbols(profile, 0.5)
    native = featcodec.encode_symbols(symbols, "transform:step=0.5|rans", profile=profile)
    profiles = {profile.fingerprint: profile}
    coefficients = featcodec.decode_coefficients(native, profiles=profiles)
    for module in (rans_profile, transform):
        monkeypatch.setattr(module, "kernels", None)
    assert featcodec.encode_symbols(symbols, "transform:step=0.5|rans", profile=profile) == native
    assert featcodec.decode_coefficients(native, profiles=profiles).tobytes() == coefficients.tobytes()


def test_symbols_at_odd_addresses() -> None:
    at_step = PROFILES["blocks"].at(1.0)
    symbols = synthetic_symbols(PROFILES["blocks"], 1.0)
    odd = np.frombuffer(b"\0" + symbols.tobytes(), np.int16, offset=1).reshape(symbols.shape)
    assert not odd.flags.aligned
    assert check(odd, at_step) == check(symbols, at_step)
    assert transform.reconstruct(odd, at_step).tobytes() == transform.reconstruct(symbols, at_step).tobytes()


@pytest.mark.skipif(kernels is None, reason="the extension module was not built")
def test_the_kernels_check_what_they_are_given() -> None:
    good = np.array([[16000, 200, 100, 84]], np.uint16)
    for wrong in (good + 1, good - 1, good[:0], good[:, :1]):
        with pytest.raises((ValueError, RuntimeError), match=r"sum|1 to 256 tables"):
            kernels.ProfileTables(np.ascontiguousarray(wrong, np.uint16))
    with pytest.raises(RuntimeError, match="without an escape"):
        kernels.ProfileTables(np.array([[16000, 200, 184, 0]], np.uint16))
    tables, chosen = kernels.ProfileTables(good), np.zeros((2, 3), np.uint8)
    for blocks, places in ((0, chosen), (1, chosen + 1), (1, chosen[:0])):
        with pytest.raises(ValueError, match="does not exist, or no symbols"):
            kernels.ProfileCoder(tables, blocks, places)
    coder = kernels.ProfileCoder(tables, 2, chosen)
    with pytest.raises(ValueError, match="size and shape differ"):
        coder.encode(np.zeros(11, np.int16))
    with pytest.raises(ValueError, match="size and shape differ"):
        coder.decode(np.zeros(9, np.uint8), np.zeros(13, np.int16))
    given: dict[str, Any] = {
        "pattern": np.array([0, 1], np.int32),
        "back": np.array([[[0], [1]], [[2], [3]]], np.int32),
        "weights": np.ones((1, 2), np.uint8),
        "bias": np.zeros((2, 2, 3), np.int32),
        "quiet": np.zeros((2, 2, 3), np.uint8),
        "logarithms": np.zeros(2048, np.int32),
        "alpha": 1,
    }
    coder.set_contexts(**given)
    for name, wrong in {
        "pattern": given["pattern"] + 1,
        "back": given["back"] + 1,
        "quiet": given["quiet"] + np.uint8(1),
        "alpha": 0,
    }.items():
        with pytest.raises(ValueError, match="lead outside"):
            coder.set_contexts(**(given | {name: wrong}))
    for name in ("pattern", "bias", "logarithms"):
        with pytest.raises(ValueError, match="of another shape"):
            coder.set_contexts(**(given | {name: given[name][:1]}))
    symbols, values = np.zeros(6, np.int16), np.zeros((1, 4), np.float32)
    places = chosen.reshape(-1)
    for count, table in ((5, places), (6, places[:4]), (6, places[:0])):
        with pytest.raises(ValueError, match="differ in size"):
            kernels.reconstruct(symbols, table, values, 1.0, np.zeros(count, np.float32))
    with pytest.raises(ValueError, match="without values"):
        kernels.reconstruct(symbols, places + np.uint8(1), values, 1.0, np.zeros(6, np.float32))
    coefficients = np.zeros(12, np.float32)
    with pytest.raises(ValueError, match="without points"):
        coder.decode_coefficients(np.zeros(1, np.uint8), coefficients)
    for odd in (np.zeros((2, 4), np.float32), values[:, :0]):
        with pytest.raises(ValueError, match="another number of tables"):
            coder.set_points(odd, 1.0)
    coder.set_points(values, 1.0)
    with pytest.raises(ValueError, match="size and shape differ"):
        coder.decode_coefficients(np.zeros(1, np.uint8), coefficients[:11])
