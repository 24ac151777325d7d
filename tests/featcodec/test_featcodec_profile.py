"""Profiles: the file, its checks, the tables that follow from it, integer for integer."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featcodec
from featcodec import ProfileError, TransformProfile, load_profile, make_profile, profile_file
from featcodec.profile_checks import NAMES
from featcodec.profile_contexts import log16
from featcodec.profile_step import log8
from featcodec.testing import small_profile, synthetic_profile, synthetic_symbols

Array = np.ndarray[Any, Any]


def arrays_of(profile: TransformProfile) -> dict[str, Array]:
    """Copies of what `make_profile` takes."""
    return {name: getattr(profile, name).copy() for name in NAMES}


def test_bytes_are_deterministic_and_load_as_they_were() -> None:
    profile = small_profile()
    again = make_profile(**arrays_of(profile), metadata=dict(reversed(list(profile.metadata.items()))))
    loaded = load_profile(memoryview(profile.to_bytes()))
    for other in (again, loaded, pickle.loads(pickle.dumps(profile))):
        assert other.to_bytes() == profile.to_bytes()
        assert other == profile
        assert hash(other) == hash(profile)
        assert other.metadata == profile.metadata
        for name in NAMES:
            assert getattr(other, name).tobytes() == getattr(profile, name).tobytes()
            assert not getattr(other, name).flags.writeable
    assert profile.metadata["network"] == "synthetic"
    assert len(profile.fingerprint) == 32
    assert synthetic_profile(seed=1) != synthetic_profile(seed=2)


def test_the_file_is_safetensors(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    path = tmp_path / "p.safetensors"
    path.write_bytes(small_profile().to_bytes())
    assert safetensors.load_file(path)["tables"].tobytes() == small_profile().tables.tobytes()
    assert load_profile(path) == load_profile(str(path)) == small_profile()


def test_shapes() -> None:
    profile = synthetic_profile(5, (6, 4), (3, 2))
    assert (profile.shape, profile.blocks, profile.symbols_shape) == ((5, 6, 4), (3, 2), (4, 6, 5))
    assert "(5, 6, 4) in blocks of 3x2" in repr(profile)
    product = profile.synthesis @ profile.analysis
    assert np.abs(product - np.eye(5)).max() < 1e-5


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ProfileError, match="No such file"):
        load_profile(tmp_path / "none")
    with pytest.raises(ProfileError, match="cannot read profile"):
        load_profile(tmp_path)
    with pytest.raises(ProfileError, match="a path or bytes, not int"):
        load_profile(7)  # type: ignore[arg-type]
    path = tmp_path / "large"
    path.write_bytes(small_profile().to_bytes())
    monkeypatch.setattr(profile_file, "MAX_BYTES", 1000)
    with pytest.raises(ProfileError, match="larger than 1,000 bytes"):
        load_profile(path)
    with pytest.raises(ProfileError, match="at most 1,000 bytes, not"):
        load_profile(small_profile().to_bytes())


def refused(profile: TransformProfile, match: str, **changed: Any) -> None:
    with pytest.raises(ProfileError, match=match) as caught:
        make_profile(**(arrays_of(profile) | changed), metadata=profile.metadata)
    assert "\n" not in str(caught.value)


def changed(name: str, place: Any, value: Any) -> Array:
    """A copy of a tensor with one number replaced."""
    array: Array = getattr(small_profile(), name).copy()
    array[place] = value
    return array


@pytest.mark.parametrize(
    ("name", "array", "match"),
    [
        ("geometry", [2, 2, 3, 1], r"geometry has shape \(4,\)"),
        ("geometry", [2, 2, 3, 1, 2], "must tile"),
        ("geometry", [2, 2, 3, 0, 3], "must tile"),
        ("geometry", [2, -2, 3, 1, 3], "must tile"),
        ("geometry", [2, 1 << 30, 3, 1, 3], "more than 268,435,456 values"),
        ("geometry", [3, 2, 3, 1, 3], r"mean has shape \(2,\), not \(3,\)"),
        ("geometry", [2, 1 << 31, 3, 1, 3], "numbers that int32 does not"),
        ("frequencies", [0, 1], r"frequencies has shape \(2,\), not \(3,\)"),
        ("frequencies", [0, 1, 1], "not a permutation of 0 to 2"),
        ("frequencies", [1, 0, 2], "begins with 0"),
        ("bands", [0, 1], r"bands has shape"),
        ("bands", [1, 1, 1], "begin at 0"),
        ("bands", [0, 2, 2], "rise by 0 or 1"),
        ("bands", [0, 1, 0], "rise by 0 or 1"),
        ("bands", [0, 0, 0], r"analysis has shape \(2, 2, 2\), not \(1, 2, 2\)"),
        ("mean", changed("mean", 1, np.nan), "mean holds NaN or infinity"),
        ("mean", [1, 1e300], "mean holds NaN or infinity"),
        ("analysis", changed("analysis", (1, 0, 0), np.inf), "analysis holds NaN or infinity"),
        ("analysis", changed("analysis", 1, 0), "band 1 is singular"),
        ("analysis", changed("analysis", 0, 1), "band 0 is singular"),
        ("analysis", changed("analysis", (0, 0), 1e-38), "band 0 is singular"),
        ("scales", np.zeros((2, 2)), r"scales has shape \(2, 2\), not \(3, 2\)"),
        ("scales", np.full((3, 2), 1.5), "numbers that uint8 does not"),
        ("scales", np.full((3, 2), 256), "numbers that uint8 does not"),
        ("tables", changed("tables", (5, 0), 1), "row 5 sums to .*, not 16384"),
        ("tables", np.full((48, 4), (16384, 0, 0, 0)), "row 0 has no escape"),
        ("tables", np.full((48, 3), (16382, 1, 1)), "make an even number"),
        ("tables", np.full((129, 2), 8192), "at most 128 rows of 2 to 1024"),
        ("tables", np.full((48, 1), 16384), "at most 128 rows of 2 to 1024"),
        ("tables", np.full(48, 16384), "at most 128 rows"),
        ("tables", np.full((47, 2), 8192), "points has shape"),
        ("points", np.zeros((48, 65)), "points has shape"),
        ("points", np.zeros((48, 0)), "points has shape"),
        ("points", changed("points", (3, 1), 1), "within -1 and 1"),
        ("points", changed("points", (3, 1), np.nan), "within -1 and 1"),
        ("points", changed("points", (3, 0), 0.5), "column 0 must be 0"),
        ("expected", np.zeros(47), "expected has shape"),
        ("expected", np.full(48, 8129), "8129 is above 8128"),
        ("context_offsets", np.zeros((17, 4)), "context_offsets has shape"),
        ("context_offsets", np.zeros((6, 3)), "context_offsets has shape"),
        ("context_weights", np.zeros((5, 2)), "context_weights has shape"),
        ("context_prior", [0, 1], "alpha is 0"),
        ("context_prior", [1 << 21, 1], "alpha is 2097152"),
        ("context_prior", [1, 513], "beta is 513"),
        ("context_prior", [1, -1], "beta is -1"),
        ("context_prior", [1], "context_prior has shape"),
        ("mean", ["a", "b"], "mean is not an array of numbers"),
        ("nonsense", [1], "'nonsense' is unknown"),
    ],
)
def test_wrong_arrays_say_what_is_wrong(name: str, array: Any, match: str) -> None:
    refused(small_profile(), match, **{name: array})


def test_missing_arrays_and_wrong_metadata() -> None:
    arrays = arrays_of(small_profile())
    with pytest.raises(ProfileError, match="metadata are strings"):
        make_profile(**arrays, metadata={"photos": 500})  # type: ignore[dict-item]
    del arrays["points"]
    with pytest.raises(ProfileError, match="'points' is missing"):
        make_profile(**arrays, metadata={})


def edited(change: Callable[[dict[str, Any]], None]) -> bytes:
    """The small profile's file with another header."""
    data = small_profile().to_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    change(header)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda header: header.pop("__metadata__"), "its format is None"),
        (lambda header: header["__metadata__"].update(format="gguf"), "its format is 'gguf'"),
        (lambda header: header["__metadata__"].update(version="2"), "version '2' is unknown"),
        (lambda header: header["__metadata__"].pop("version"), "version None is unknown"),
        (lambda header: header["scales"].update(dtype="I8"), "scales is int8, not uint8"),
        (lambda header: header["expected"].update(dtype="F16"), "has dtype F16, which no profile uses"),
        (lambda header: header.update(more=header.pop("mean")), "'more' is unknown"),
        (lambda header: header["mean"].update(shape=[3]), "not a profile: cut short"),
        (lambda header: header["mean"].update(shape=[1 << 62, 2]), "not a profile: cut short"),
    ],
)
def test_edited_headers(change: Callable[[dict[str, Any]], None], match: str) -> None:
    with pytest.raises(ProfileError, match=match):
        load_profile(edited(change))


def corruptions(data: bytes) -> Iterator[bytes]:
    """Every beginning; every byte with one and with all bits changed."""
    for size in range(len(data)):
        yield data[:size]
    for place in range(len(data)):
        for mask in (1, 0x80, 0xFF):
            broken = bytearray(data)
            broken[place] ^= mask
            yield bytes(broken)


def tiny_profile() -> TransformProfile:
    """A file of little more than a kilobyte."""
    return make_profile(
        geometry=[1, 1, 2, 1, 2],
        frequencies=[0, 1],
        bands=[0, 1],
        mean=[0.5],
        analysis=[[[1.0]], [[0.5]]],
        scales=[[90], [60]],
        tables=[[16000, 100, 100, 184], [8000, 4000, 4000, 384]],
        points=[[0, 0.1], [0, -0.1]],
        expected=[5, 40],
        context_offsets=[[0, 0, 0, 1]],
        context_weights=[[8, 1]],
        context_prior=[64, 200],
        metadata={},
    )


def test_every_corruption_is_an_error_or_a_valid_profile() -> None:
    data, valid = tiny_profile().to_bytes(), 0
    for broken in (*corruptions(data), data + b"\0"):
        try:
            other = load_profile(broken)
        except ProfileError:
            continue
        valid += 1
        if np.prod(other.shape) > 10_000:
            continue
        assert load_profile(other.to_bytes()) == other != tiny_profile()
        symbols = np.arange(np.prod(other.symbols_shape)).reshape(other.symbols_shape).astype(np.int16)
        frame = featcodec.encode_symbols(symbols, "transform|rans", profile=other)
        assert featcodec.decode_coefficients(frame, profiles={other.fingerprint: other}).shape == symbols.shape
    assert 0 < valid < len(data)


def test_log8_is_exact() -> None:
    for number in (*range(1, 3000), 1 << 20, (1 << 20) - 1, 999_983):
        k = log8(number)
        assert Fraction(2) ** (2 * k - 1) <= number**16 < Fraction(2) ** (2 * k + 1)
    assert log8(1024) == 80


def test_log16_is_its_definition() -> None:
    numbers = [*range(1, 2000), *(1 << n for n in range(32)), *((1 << n) - 1 for n in range(1, 33)), 3_000_000_001]
    for number, found in zip(numbers, log16(np.array(numbers, np.uint32)).tolist(), strict=True):
        n = number.bit_length() - 1
        i = (number << 6 >> n) - 64
        m = found - 16 * n
        assert Fraction(2) ** (2 * m - 1) <= Fraction(64 + i, 64) ** 32 < Fraction(2) ** (2 * m + 1)


@pytest.mark.parametrize("step", [0.001, 0.25, 1.0, 1.75, 3.999, 1024.0])
def test_tables_of_a_step(step: float) -> None:
    profile = synthetic_profile()
    tables = profile.tables_of(step)
    assert tables.dtype == np.uint8
    shift = log8(max(1, round(step * 1024))) - 80
    for place, scale in np.ndenumerate(profile.scales):
        assert tables[place] == min((max(0, int(scale) - shift) + 1) >> 1, 47)
    assert profile.tables_of(step) is tables, "not kept"


def l16(x: int) -> int:
    return int(log16(np.array([x]))[0])


def defined_tables(profile: TransformProfile, symbols: Array, step: float) -> Array:
    """Contexts as docs/profile.md defines them, one number at a time."""
    _, height, width = profile.shape
    (h, w), (count, rows, components) = profile.blocks, profile.symbols_shape
    across = width // w
    at = {int(f): j for j, f in enumerate(profile.frequencies)}
    k0, t0 = profile.at(step).classes, profile.tables_of(step)
    alpha, beta = profile.context_prior.tolist()
    made = np.empty(symbols.shape, np.uint8)
    for b, j in np.ndindex(count, rows):
        terms: list[Any] = []
        for (di, dj, du, dv), weights in zip(profile.context_offsets.tolist(), profile.context_weights, strict=True):
            i, x = np.array(divmod(b, across)) - (di, dj)
            u, v = np.array(divmod(int(profile.frequencies[j]), w)) - (du, dv)
            if 0 <= i < height // h and 0 <= x < across and 0 <= u < h and 0 <= v < w:
                row = (int(i * across + x), at[int(u * w + v)])
                if row < (b, j):
                    terms.append((row, weights.tolist()))
        for c in range(components):
            num = den = alpha
            for (block, row), (own, whole) in terms:
                a = np.minimum(np.abs(symbols[block, row].astype(int)), 127)
                e = profile.expected[t0[row]].astype(int)
                num += own * 64 * int(a[c]) + whole * 64 * min(int(a.sum()), 8191)
                den += own * int(e[c]) + whole * min(int(e.sum()), 64 * 8191)
            kappa = 2 * int(k0[j, c]) + ((beta * (l16(num) - l16(den)) + 128) >> 8)
            made[b, j, c] = min(max((kappa + 2) >> 2, 0), len(profile.tables) - 1)
    return made


ANYWHERE = [[0, 0, 1, -1], [0, 0, -1, 1], [1, 1, 0, 0], [1, -1, -1, 2], [0, 1, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0]]


GEOMETRIES = [(1, 6, 6, 3, 3), (3, 6, 8, 3, 2), (2, 4, 4, 4, 4), (4, 3, 3, 1, 1), (5, 1, 1, 1, 1)]


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("far", [False, True])
def test_context_tables_are_their_definition(geometry: tuple[int, ...], far: bool) -> None:
    channels, height, width, h, w = geometry
    profile = synthetic_profile(channels, (height, width), (h, w), seed=3)
    if far:
        weights = np.random.default_rng(4).integers(0, 256, (len(ANYWHERE), 2))
        other: dict[str, Any] = {"context_offsets": ANYWHERE, "context_weights": weights, "context_prior": [1, 512]}
        profile = make_profile(**(arrays_of(profile) | other), metadata={})
    symbols = synthetic_symbols(profile, 0.4)
    symbols[0, -1, 0] = -32768
    assert np.array_equal(profile.context_tables(symbols, 0.4), defined_tables(profile, symbols, 0.4))


def test_without_context_terms_the_tables_are_those_of_the_step() -> None:
    profile = synthetic_profile(contexts=False)
    symbols = synthetic_symbols(profile, 1)
    assert np.array_equal(profile.context_tables(symbols, 1.0), np.broadcast_to(profile.tables_of(1.0), symbols.shape))
    with pytest.raises(featcodec.InputError, match="symbols of this profile"):
        profile.context_tables(symbols[0], 1.0)


def test_only_the_last_steps_are_kept() -> None:
    profile = synthetic_profile(seed=9)
    first = profile.at(1.0)
    for index in range(40):
        profile.at(2.0 + index)
        profile.at(1.0)
    assert profile.at(1.0) is first
    assert len(profile._steps._steps) <= 16
