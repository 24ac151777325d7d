"""Growth of memory in the soak: a sawtooth is none, whatever its phase; a leak is, also one that is given back late."""

from __future__ import annotations

import math

import pytest

from benchmarks.soak import _growth

SECONDS = 1020


@pytest.mark.parametrize("phase", [0.0, 0.3, 0.6, 0.9])
def test_a_sawtooth_does_not_grow(phase: float) -> None:
    memory = [300 + 14 * math.fmod(second / 450 + phase, 1) for second in range(SECONDS)]
    growth, swing = _growth(memory)
    assert abs(growth) < 0.005
    assert 0.035 < swing < 0.05


def test_a_leak_grows() -> None:
    growth, _ = _growth([300 + second / 20 for second in range(SECONDS)])
    assert growth == pytest.approx(351 / 325.5 - 1, abs=0.002)


def test_what_is_given_back_before_the_end_counts() -> None:
    growth, _ = _growth([370 + second / 20 if second < 840 else 372 for second in range(SECONDS)])
    assert growth > 0.03


def test_a_moment_does_not_count() -> None:
    assert _growth([300 + 100 * (second == 900) for second in range(SECONDS)]) == (0.0, 0.0)


def test_a_short_run_has_a_figure() -> None:
    assert _growth([300.0, 301.0]) == (0.0, 0.0)
