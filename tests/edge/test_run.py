"""Many photos through one edge."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from splitnet.edge.client import Inference
from splitnet.edge.run import run
from splitnet.edge.trace import Trace, medians
from splitnet.errors import ImageError, LateError, UnavailableError


class _Edge:
    """Stands in for AsyncEdge: answers after a moment, or raises what the path's name says."""

    def __init__(self) -> None:
        self.under_way = 0
        self.most = 0

    async def infer(self, path: Path, tasks: Any, *, top_k: int, timeout: float | None) -> Inference:
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            match path.stem:
                case "unreadable":
                    raise ImageError("unreadable")
                case "late":
                    raise LateError("late")
                case "gone":
                    raise UnavailableError("gone")
            return Inference({}, 1, Trace())
        finally:
            self.under_way -= 1


async def _outcomes(edge: _Edge, names: list[str], in_flight: int = 3) -> dict[str, str]:
    paths = [Path(name) for name in names]
    return {
        str(one.path): type(one.error).__name__ if one.error else "answered"
        async for one in run(edge, paths, in_flight=in_flight)  # type: ignore[arg-type]  # the stand-in
    }


async def test_unreadable_and_late_photos_are_outcomes() -> None:
    found = await _outcomes(_Edge(), ["a", "unreadable", "late", "b"])
    assert found == {"a": "answered", "unreadable": "ImageError", "late": "LateError", "b": "answered"}


@pytest.mark.parametrize("in_flight", [1, 2, 5])
async def test_photos_under_way_are_bounded(in_flight: int) -> None:
    edge = _Edge()
    assert len(await _outcomes(edge, [str(number) for number in range(20)], in_flight)) == 20
    assert edge.most == in_flight


async def test_a_server_that_is_gone_ends_the_run() -> None:
    edge = _Edge()
    with pytest.raises(UnavailableError):
        await _outcomes(edge, ["a", "gone", "b", "c", "d", "e"])
    assert edge.under_way == 0


async def test_answers_that_are_there_when_the_server_goes_are_not_dropped() -> None:
    found: list[str] = []

    async def collect() -> None:
        names = [Path(name) for name in ("a", "gone", "b", "gone")]
        async for one in run(_Edge(), names, in_flight=4):  # type: ignore[arg-type]  # the stand-in
            found.append(str(one.path))  # noqa: PERF401 - a comprehension would lose them with the exception

    with pytest.raises(UnavailableError):
        await collect()
    assert sorted(found) == ["a", "b"]


def test_medians_and_overhead() -> None:
    traces = [
        Trace(photo=0.001, edge_graph=0.002, cloud_graph=0.003, heads=0.001, total=total)
        for total in (0.009, 0.010, 0.020)
    ]
    found = medians(traces)
    assert found["total"] == pytest.approx(10.0)
    assert found["overhead"] == pytest.approx(3.0)
    assert medians([]) == {}
