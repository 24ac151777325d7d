"""Faults that a device meets, short and with a tiny network; `make faults` has all of them at full length."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.faults.__main__ import try_fault
from benchmarks.faults.faults import FAULTS
from benchmarks.link import namespaces
from splitnet.bundle import Bundle

pytestmark = pytest.mark.skipif(bool(namespaces.lacking()), reason=f"no emulated links: {namespaces.lacking()}")


@pytest.mark.parametrize("name", ["half_open", "clock_jump"])
def test_nothing_promised_is_lost_and_nothing_comes_twice(
    name: str, tiny_bundle: Bundle, photos: tuple[Path, ...]
) -> None:
    found = try_fault(name, FAULTS[name], tiny_bundle.path, list(photos[:3]), True, "scores")
    assert found["photos"] > 10
    assert (found["lost"], found["twice"]) == (0, 0)
    assert 0 < found["rss_mb"] < 200
