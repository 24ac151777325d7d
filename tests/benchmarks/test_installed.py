"""What counts as the size of an installation."""

from __future__ import annotations

import pytest

from benchmarks.installed import figures_of
from splitnet.errors import UsageError


def test_what_runs_a_network_anyway_is_shown_and_does_not_count() -> None:
    found = figures_of({"numpy": 60_000_000, "onnxruntime": 50_000_000, "pip": 9_000_000, "splitnet": 2_000_000})
    assert found.figures == pytest.approx({"edge.installed_mb": 2.0, "edge.installed_with_runtime_mb": 112.0})
    assert [row["distribution"] for row in found.rows] == ["numpy", "onnxruntime", "splitnet"]


def test_torch_is_an_error() -> None:
    with pytest.raises(UsageError, match="torch"):
        figures_of({"torch": 1})
