"""Other compilers, flags and processors, and the numpy coders, give the same bytes.

The short version; `make compatibility` has the whole corpus and every build.
"""

from __future__ import annotations

import io
import json
import platform
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from featcodec._native import kernels
from tests.compatibility.__main__ import CODERS, corpus
from tests.compatibility.builds import BUILDS, SOURCES, Build, MissingToolError, compile_without_floats, replay
from tests.compatibility.trace import Recorder

pytestmark = [
    pytest.mark.skipif(kernels is None, reason="the extension module was not built"),
    pytest.mark.timeout(900),  # a busy machine compiles for minutes
]
# Compiling takes most of the time, so one build stands for all here.
ORDINARY = [build for build in BUILDS if build.name == "aarch64 -O1"]
PAIRS = {f"{coder}{kind}" for coder in ("rans_", "ctx_", "floats_", "ProfileCoder.") for kind in ("encode", "decode")}
OTHERS = {"extent", "quantise", "look_up", "reconstruct", "ProfileTables", "ProfileCoder"}
OTHERS |= {"ProfileCoder.set_contexts", "ProfileCoder.set_points", "ProfileCoder.decode_coefficients"}
# All that decodes symbols, but for two files that read the position of a whole number's leading bit from its float32,
# which is exact.
WITHOUT_FLOATS = [
    "rans",
    "rans_core",
    "rans_model",
    "rans_profile",
    "ctx",
    "ctx_solver",
    "ctx_tables",
    "floats_decoder",
]


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return corpus("record", tmp_path_factory.mktemp("compatibility") / "trace", "short")


@pytest.fixture(scope="module")
def digests(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    out = corpus("digests", tmp_path_factory.mktemp("compatibility") / "digests", "short")
    found: dict[str, str] = json.loads(out.read_text())
    return found


@pytest.mark.parametrize("coder", CODERS)
def test_coders_agree(coder: str, digests: dict[str, str], tmp_path: Path) -> None:
    got = json.loads(corpus("digests", tmp_path / "digests", "short", CODERS[coder]).read_text())
    assert got == digests


@pytest.mark.parametrize("build", ORDINARY, ids=lambda build: build.name)
def test_builds_agree(build: Build, trace: Path, tmp_path: Path) -> None:
    try:
        calls = replay(build, trace)
    except MissingToolError as error:  # the reason names the compiler or emulator; a laptop need not have one
        pytest.skip(str(error))
    assert set(calls) == PAIRS | OTHERS
    assert min(calls.values()) >= 5

    # A program that compares nothing would agree too.
    call = io.BytesIO()
    Recorder(kernels, call).rans_encode(np.arange(64, dtype=np.uint8) % 5, 1, False, 1, 1, 64)
    changed = bytearray(call.getvalue())
    changed[-1] ^= 1  # of the payload
    other = tmp_path / "changed"
    other.write_bytes(changed)
    with pytest.raises(AssertionError, match="rans_encode: bytes differ"):
        replay(build, other)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "aarch64"), reason="-mgeneral-regs-only is of x86 and aarch64")
def test_entropy_decoders_have_no_floating_point() -> None:
    chosen = [source for source in SOURCES if source.stem in (*WITHOUT_FLOATS, "uniform")]
    with ThreadPoolExecutor(2) as pool:
        try:
            said = dict(zip(chosen, pool.map(compile_without_floats, chosen), strict=True))
        except MissingToolError as error:  # no C++ compiler: the package works without one, too
            pytest.skip(str(error))
    # Quantisation of floats shows that the compiler would have said so.
    assert {source.stem for source, errors in said.items() if errors} == {"uniform"}, said
    assert len(said) == len(WITHOUT_FLOATS) + 1
