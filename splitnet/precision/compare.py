"""What fewer bits cost and bring: fidelity to the unsplit network, time, size."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np

from splitnet.bundle import Bundle
from splitnet.bundle.manifest import Cut
from splitnet.calibrate.fidelity import measure_of
from splitnet.cloud.model import CloudModel
from splitnet.runtime.bundled import load_graph
from splitnet.runtime.graph import Array, Graph
from splitnet.runtime.onnxruntime_engine import OnnxGraph

_REPEATS = 20


@dataclass(frozen=True)
class PrecisionReport:
    """One cut's edge graph before and after.

    `distortion` maps a task to the name and mean of its measure against the unsplit network (KL divergence in nats for
    classes, cosine distance for embeddings, else the relative squared error); `agreement` is the share of photos with
    the same top class, for classifications. Milliseconds are medians on one thread of this machine, taken in turns.
    """

    cut: str
    precision: str
    bytes_before: int
    bytes_after: int
    ms_before: float
    ms_after: float
    photos: int
    distortion: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    agreement: Mapping[str, float] = field(default_factory=dict)


def compare(bundle: Bundle, cut: Cut, precision: str, made: bytes, inputs: Sequence[Array]) -> PrecisionReport:
    """Run the cut's edge graph as it is and as `made` on `inputs`, each (1, 3, H, W), and the rest behind both."""
    assert cut.edge is not None
    before, after = load_graph(bundle, cut.edge), OnnxGraph(made, name=f"{cut.name}, {precision}")
    model = CloudModel(bundle)
    whole = load_graph(bundle, bundle.manifest.whole)
    tasks = bundle.manifest.tasks
    outputs = [task.output for task in tasks]
    expected: list[list[Array]] = []
    found: list[list[Array]] = []
    for one in inputs:
        expected.append(whole.run({whole.inputs[0].name: one}, outputs))
        shared = model.shared(cut, after.run({after.inputs[0].name: one}, [every.tensor for every in cut.crossing]))
        found.append([model.answer(model.heads[task.name], shared) for task in tasks])
    distortion, agreement = {}, {}
    for index, task in enumerate(tasks):
        wanted, got = (np.concatenate([row[index] for row in rows]) for rows in (expected, found))
        name, measure = measure_of(task.kind)
        distortion[task.name] = (name, float(measure(wanted, got).mean()))
        if task.kind == "classification":
            agreement[task.name] = float((wanted.argmax(1) == got.argmax(1)).mean())
    ms = _times((before, after), inputs)
    sizes = len(bundle.open_bytes(cut.edge)), len(made)
    return PrecisionReport(cut.name, precision, *sizes, *ms, len(inputs), distortion, agreement)


def _times(graphs: tuple[Graph, Graph], inputs: Sequence[Array]) -> tuple[float, float]:
    times: tuple[list[float], list[float]] = ([], [])
    for repeat in range(_REPEATS + 2):
        for graph, taken in zip(graphs, times, strict=True):
            one = inputs[repeat % len(inputs)]
            started = time.perf_counter()
            graph.run({graph.inputs[0].name: one})
            taken.append(1000 * (time.perf_counter() - started))
    # The first runs allocate.
    return median(times[0][2:]), median(times[1][2:])
