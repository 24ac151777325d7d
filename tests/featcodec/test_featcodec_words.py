"""Words in a stored spec: shorter, the same after expansion, and never ambiguous."""

from __future__ import annotations

import numpy as np
import pytest

import featcodec
from featcodec.registry import BUILTIN
from featcodec.words import WORDS, expand, shorten


@pytest.mark.parametrize(
    "spec",
    ["none", "transform:step=1.75|rans", "affine:bits=8|zstd:level=3", "affine:bits=8,per=channel|ctx", "none|floats"],
)
def test_a_spec_comes_back_whether_words_are_used_or_not(spec: str) -> None:
    assert expand(shorten(spec)) == spec
    assert expand(spec.encode()) == spec
    assert len(shorten(spec)) <= len(spec)


def test_the_demo_codec_takes_six_bytes() -> None:
    assert len(shorten("transform:step=1.75|rans")) == 6


@pytest.mark.parametrize("stored", [b"", b"none\x1f", b"none|\xff", bytes((0x80 + len(WORDS),))])
def test_what_no_encoder_writes_is_an_error(stored: bytes) -> None:
    with pytest.raises(featcodec.FrameError, match="spec"):
        expand(stored)


def test_words_begin_or_end_with_whole_names() -> None:
    for word in WORDS:
        assert word.lstrip("|").partition(":")[0] in BUILTIN


def test_a_frame_stores_the_short_form_and_says_the_long_one() -> None:
    frame = featcodec.encode(np.zeros((2, 3), np.float32), "affine:bits=4|ctx")
    assert featcodec.info(frame).spec == "affine:bits=4|ctx"
    assert b"affine" not in frame
