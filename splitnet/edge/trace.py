"""Where the time of one input went, from the photo to the results."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from statistics import median

from splitnet.wire.exchange import Timing

GRAPHS = ("edge_graph", "cloud_graph", "heads")
"""Stages that are the network itself; `heads` are its last layers."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Seconds in each stage of one input; `total` is measured on its own, from the photo to the results.

    `photo` decodes and resizes the photo, `wire` is everything between the end of `encode` and the results that the
    service does not account for: gRPC on both sides, the network, waking up threads.
    """

    photo: float = 0.0
    normalise: float = 0.0
    edge_graph: float = 0.0
    encode: float = 0.0
    wire: float = 0.0
    queue: float = 0.0
    decode: float = 0.0
    cloud_graph: float = 0.0
    heads: float = 0.0
    post: float = 0.0
    total: float = 0.0

    @property
    def overhead(self) -> float:
        """What the framework adds: everything but the graphs and the decoding and resizing of the photo."""
        return self.total - self.photo - self.edge_graph - self.cloud_graph - self.heads

    @property
    def edge(self) -> float:
        """Work on the device."""
        return self.photo + self.normalise + self.edge_graph + self.encode

    @property
    def cloud(self) -> float:
        """Work in the service, queueing included."""
        return self.queue + self.decode + self.cloud_graph + self.heads + self.post


@dataclass(frozen=True, slots=True)
class Prepared:
    """Seconds of the stages on the device, before the frame leaves."""

    photo: float
    normalise: float
    edge_graph: float
    encode: float

    def complete(self, exchange: float, timing: Timing, total: float) -> Trace:
        """The whole trace; `exchange` is the time from the end of `encode` to the results."""
        return Trace(
            photo=self.photo,
            normalise=self.normalise,
            edge_graph=self.edge_graph,
            encode=self.encode,
            wire=max(0.0, exchange - timing.total),
            queue=timing.queue,
            decode=timing.decode,
            cloud_graph=timing.graph,
            heads=timing.heads,
            post=timing.post,
            total=total,
        )


def medians(traces: Sequence[Trace]) -> dict[str, float]:
    """Median milliseconds of every stage, and of `overhead`; empty without traces."""
    if not traces:
        return {}
    names = [field.name for field in fields(Trace)] + ["overhead"]
    return {name: 1000 * median(getattr(trace, name) for trace in traces) for name in names}
