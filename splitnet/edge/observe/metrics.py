"""Prometheus metrics, made of the counts when somebody asks for them."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from splitnet._version import __version__
from splitnet.edge.observe.counts import SourceCounts
from splitnet.edge.observe.state import LinkState
from splitnet.edge.observe.tally import EdgeTally
from splitnet.observe.collector import CountsCollector

T = TypeVar("T")


class EdgeMetrics(CountsCollector):
    """The metrics of one daemon.

    Read from the counts, as the service's are. Labels are names of the configuration, statuses, modes with the bundle's
    cuts and codecs, and the daemon's own reasons: never anything of an input.
    """

    def __init__(self, tally: EdgeTally, ready: Callable[[], bool]) -> None:
        self._tally, self._ready = tally, ready
        super().__init__(tally.lock)

    def families(self) -> Iterable[Metric]:
        """See `CountsCollector`."""
        return [*self._inputs(), *self._outputs(), *self._plans(), *self._links(), *self._state()]

    def _inputs(self) -> Iterable[Metric]:
        rows = self._tally.sources
        yield _counter("captured", "Inputs of a source", "source", rows, lambda row: row.captured)
        yield _counter("spooled", "Inputs that went into the spool", "source", rows, lambda row: row.spooled)
        yield _counter("source_errors", "Times a source broke off", "source", rows, lambda row: row.errors)
        yield _counter("frame_bytes", "Bytes of frames sent", "source", rows, lambda row: row.frame_bytes)
        yield _counter(
            "compared_bytes",
            "The same, where the size as JPEG is known",
            "source",
            rows,
            lambda row: row.compared_bytes,
        )
        yield _counter("jpeg_bytes", "What these would be as JPEG", "source", rows, lambda row: row.jpeg_bytes)
        records = CounterMetricFamily(
            "splitnet_edge_records", "Records by how the input ended", labels=("source", "status")
        )
        dropped = CounterMetricFamily("splitnet_edge_dropped", "Inputs dropped by policy", labels=("source", "reason"))
        for name, row in rows.items():
            for status, number in row.recorded.items():
                records.add_metric((name, status), number)
            for reason, number in row.dropped.items():
                dropped.add_metric((name, reason), number)
        yield records
        yield dropped
        yield _latency(rows)
        queued = {name: row for name, row in rows.items() if not row.gone}
        yield _gauge("queue", "Inputs that wait", "source", queued, lambda row: row.queue)

    def _outputs(self) -> Iterable[Metric]:
        rows = self._tally.sinks
        yield _counter("written", "Records that are safe in a sink", "sink", rows, lambda row: row.written)
        yield _counter("sink_errors", "Writes that failed", "sink", rows, lambda row: row.errors)
        there = {name: row for name, row in rows.items() if not row.gone}
        yield _gauge("sink_waiting", "Records not written yet", "sink", there, lambda row: row.waiting)
        yield _gauge("sink_failing", "1 since the last write failed", "sink", there, lambda row: row.failing)

    def _plans(self) -> Iterable[Metric]:
        rows = self._tally.models
        yield _counter("plan_changes", "Changes of plan", "source", rows, lambda row: row.changes)
        modes = GaugeMetricFamily(
            "splitnet_edge_mode", "1 for how a source is answered now", labels=("source", "mode", "cut", "codec")
        )
        for name, row in rows.items():
            if row.mode is not None:
                modes.add_metric((name, row.mode, row.cut, row.codec), 1)
        yield modes

    def _links(self) -> Iterable[Metric]:
        links = {address: row.link for address, row in self._tally.servers.items() if row.link is not None}
        choices: tuple[tuple[str, str, Callable[[LinkState], float | None]], ...] = (
            (
                "link_up",
                "1 while the server answers, in use or standing by",
                lambda link: link.state in ("up", "standby"),
            ),
            ("link_bandwidth_bits_per_second", "Uplink as measured", lambda link: link.bandwidth),
            ("link_rtt_seconds", "Round trip as measured", lambda link: link.rtt),
            ("link_queue_seconds", "Waiting in the server, as it says", lambda link: link.queue),
        )
        return [_gauge(name, text, "server", links, choose) for name, text, choose in choices]

    def _state(self) -> Iterable[Metric]:
        tally, spool, device = self._tally, self._tally.spool, self._tally.device
        age = 0.0 if spool.oldest is None else max(0.0, tally.wall() - spool.oldest)
        values = (
            ("in_flight", "Requests under way", tally.in_flight),
            ("spool_entries", "Entries in the spool", spool.entries),
            ("spool_bytes", "Bytes on disk of the spool", spool.bytes),
            ("spool_oldest_seconds", "Age of the oldest entry; 0 without any", age),
            ("temperature_celsius", "Of the device", device.temperature),
            ("load", "What wants a processor, per processor", device.load),
            ("ready", "1 while inputs are taken", self._ready()),
            ("uptime_seconds", "Since the start", tally.clock() - tally.started),
        )
        for name, text, value in values:
            if value is not None:
                yield GaugeMetricFamily(f"splitnet_edge_{name}", text, value=value)
        build = GaugeMetricFamily("splitnet_edge_build_info", "What runs", labels=("version", "python"))
        build.add_metric((__version__, platform.python_version()), 1)
        yield build


def _counter(
    name: str, text: str, label: str, rows: Mapping[str, T], choose: Callable[[T], float]
) -> CounterMetricFamily:
    family = CounterMetricFamily(f"splitnet_edge_{name}", text, labels=(label,))
    for key, row in rows.items():
        family.add_metric((key,), choose(row))
    return family


def _gauge(
    name: str, text: str, label: str, rows: Mapping[str, T], choose: Callable[[T], float | None]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"splitnet_edge_{name}", text, labels=(label,))
    for key, row in rows.items():
        value = choose(row)
        if value is not None:
            family.add_metric((key,), value)
    return family


def _latency(rows: Mapping[str, SourceCounts]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(
        "splitnet_edge_latency_seconds", "From capture to an answer that did not wait in the spool", labels=("source",)
    )
    for name, row in rows.items():
        family.add_metric((name,), row.latency.cumulative(), row.latency.sum)
    return family
