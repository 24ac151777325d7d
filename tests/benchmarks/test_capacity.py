"""The capacity table: its arithmetic, and that the docs show what the script prints."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.capacity import FLEETS, Costs, plan, table

DOCS = Path(__file__).resolve().parents[2] / "docs/operations.md"


def test_the_docs_show_what_the_script_prints() -> None:
    text = DOCS.read_text(encoding="utf-8")
    match = re.search(r"benchmarks\.capacity --cpu-ms ([0-9.]+)`:\n\n((?:\|.*\n)+)", text)
    assert match is not None
    costs = Costs(float(match[1]))
    assert match[2].strip() == table(costs)
    for line in plan(*FLEETS[1], costs).lines:
        assert line in text


def test_the_arithmetic() -> None:
    row = plan(1_200, 0.5, Costs(10.0, frame_bytes=1000, answer_bytes=500, utilisation=0.5)).row
    # 600 requests a second of 10 ms: 6 cores busy, 12 planned.
    assert (row["requests/s"], row["cores"], row["replicas"]) == ("600", "12", "13")
    assert (row["in, Mbit/s"], row["out, Mbit/s"]) == ("5", "2")


@pytest.mark.parametrize("devices", [1, 100])
def test_there_is_always_one_to_spare(devices: int) -> None:
    row = plan(devices, 0.001, Costs(5.0)).row
    assert (row["replicas"], row["proxies"]) == ("3", "2")
