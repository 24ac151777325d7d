"""Specs: parsing, printing, comparing; defaults that never change; errors that help."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

import featcodec
from featcodec import Spec, SpecError, parse_spec
from featcodec.byte_coders.zlib import Zlib
from featcodec.contract import Stage
from featcodec.quantisers.affine import Affine
from featcodec.registry import BUILTIN
from featcodec.testing import check_config, check_repr, profile_specs, stage_specs
from featcodec.testing.strategies import specs

# Frames leave defaults out, so none of these may ever change.
FROZEN = {
    "none": {},
    "float16": {},
    "bfloat16": {},
    "affine": {"bits": 8, "per": "tensor"},
    "clip": {"levels": 16},
    "transform": {"step": 1.0},
    "raw": {},
    "shuffle": {},
    "ctx": {},
    "rans": {"context": 1},
    "floats": {},
    "zlib": {"level": 6},
    "gzip": {"level": 6},
    "bz2": {"level": 9},
    "lzma": {"preset": 6},
    "zstd": {"level": 3},
    "lz4": {"level": 0},
    "brotli": {"quality": 5, "lgwin": 22},
}


def test_defaults_are_frozen() -> None:
    listed = {stage.name: {p.name: p.default for p in stage.parameters} for stage in featcodec.list_stages()}
    assert {name: listed[name] for name in BUILTIN} == FROZEN


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("affine:bits=8|zstd:level=3", "affine|zstd"),
        ("affine:per=channel,bits=6|zlib:level=9", "affine:bits=6,per=channel|zlib:level=9"),
        ("none|shuffle|lzma", "none|shuffle|lzma"),
        ("none|raw", "none|raw"),
        ("none", "none|raw"),
        ("none|raw|zlib", "none|zlib"),
        ("transform:step=1|rans:context=1", "transform|rans"),
        ("transform:step=1.750|rans:context=0", "transform:step=1.75|rans:context=0"),
        (" clip : levels = 4 | zlib ", "clip:levels=4|zlib"),
    ],
)
def test_specs_print_in_one_way(text: str, canonical: str) -> None:
    spec = parse_spec(text)
    assert str(spec) == canonical
    assert Spec.parse(canonical) == spec
    assert hash(Spec.parse(canonical)) == hash(spec)
    assert repr(spec) == f"Spec.parse({canonical!r})"


def test_specs_compare_by_their_stages() -> None:
    assert parse_spec("affine:bits=7|zlib") == Spec(Affine(bits=7), byte_coder=Zlib())
    assert parse_spec("affine|zlib") != parse_spec("affine|zlib:level=5")
    assert parse_spec("none|zlib").lossless
    assert not parse_spec("float16|zlib").lossless


@given(specs())
@settings(derandomize=True, deadline=None, database=None, max_examples=200)
def test_any_spec_parses_from_its_print(spec: Spec) -> None:
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize("spec", (stage_specs() | profile_specs()).values(), ids=str)
def test_every_stage_is_a_proper_value(spec: str) -> None:
    parsed = parse_spec(spec)
    stages: list[Stage | None] = [parsed.quantiser, parsed.coder, parsed.byte_coder]
    for stage in filter(None, stages):
        check_config(stage)
        check_repr(stage)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty part"),
        ("none|", "empty part"),
        ("afine|zlib", r"did you mean 'affine'\? \(there are: none, .*brotli"),
        ("zlib", "does not begin with a quantiser; there are: none, float16"),
        ("affine:bit=8", r"no parameter 'bit'; did you mean 'bits'\? \(there are: bits, per\)"),
        ("none:level=1", "none has no parameters"),
        ("transform:step=0", "step=0.0 is not a number from 0.001 to 1024"),
        ("affine:bits=17", "bits=17 is not a whole number from 1 to 16"),
        ("affine:bits=8.0", "bits=8.0 is not a whole number"),
        ("affine:bits=٣", "printable ASCII"),
        ("affine:bits=1_0", "bits=1_0 is not a whole number"),
        ("affine:bits", "not of the form parameter=value"),
        ("affine:bits=8,bits=9", "given twice"),
        ("affine:per=pixel", "per=pixel is not one of tensor, channel"),
        ("none|zlib|zstd", "at most one is allowed"),
        ("none|zlib|raw", "the order is quantiser"),
        ("none|affine", "wrong place"),
        ("none|" + "x" * 300, "at most 255 characters"),
    ],
)
def test_wrong_specs_say_what_would_be_right(text: str, says: str) -> None:
    with pytest.raises(SpecError, match=says):
        parse_spec(text)


def test_stage_objects_check_their_parameters_too() -> None:
    with pytest.raises(SpecError, match="bits=0"):
        Affine(bits=0)
    with pytest.raises(SpecError, match="a spec is a string"):
        parse_spec(8)
