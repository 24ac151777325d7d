"""Everything that the daemon counts and knows about itself, in one place that metrics and the page read."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeVar

from splitnet.edge.daemon.record import Record
from splitnet.edge.observe.counts import SinkCounts, SourceCounts
from splitnet.edge.observe.state import (
    Change,
    DeviceState,
    Failure,
    LinkState,
    ModelState,
    ServerState,
    SourceState,
    SpoolState,
)
from splitnet.edge.observe.timeline import Timeline
from splitnet.observe.text import shown
from splitnet.plan.candidate import Mode

T = TypeVar("T")
Row = TypeVar("Row", SourceCounts, SinkCounts)
OTHER = "other"
"""What a name that is not configured counts as: a record may come out of the spool for a source of yesterday."""
REASONS = 16
"""Reasons of dropping told apart for a source; further ones count as `other`."""
CHANGES = 50
"""Changes of plan remembered."""
ERRORS = 20
"""Errors remembered."""


class EdgeTally:
    """Counts, states and the last errors of the daemon. Safe from any thread; a call costs microseconds, none raises.

    `clock` is in seconds and never goes back; `wall` is Unix time. Whoever reads the attributes holds `lock`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self.clock, self.wall = clock, wall
        self.lock = threading.Lock()
        self.started = clock()
        self.sources: dict[str, SourceCounts] = {}
        self.sinks: dict[str, SinkCounts] = {}
        self.models: dict[str, ModelState] = {}
        self.servers: dict[str, ServerState] = {}
        self.spool, self.device = SpoolState(), DeviceState()
        self.in_flight = 0
        self.timeline = Timeline()
        self.changes: deque[Change] = deque(maxlen=CHANGES)
        self.failures: OrderedDict[tuple[str, str, str], Failure] = OrderedDict()

    def configure(
        self,
        *,
        sources: Iterable[str] = (),
        sinks: Iterable[str] = (),
        models: Iterable[str] = (),
        servers: Iterable[str] = (),
    ) -> None:
        """The names of the configuration, at the start and after a reload; servers are HOST:PORT, first choice first.

        What is known of a name stays; counts of sources and sinks that are gone stay as well, for they only ever grow.
        """
        with self.lock:
            _keep(self.sources, sources, SourceCounts)
            _keep(self.sinks, sinks, SinkCounts)
            self.models = {name: self.models.get(name) or ModelState() for name in models}
            self.servers = {name: self.servers.get(name) or ServerState() for name in servers}
            self._note_bandwidth(self.clock())

    def captured(self, source: str) -> None:
        """A source has an input."""
        with self.lock:
            row = _row(self.sources, source, SourceCounts)
            row.captured += 1
            row.state = "running"
            self.timeline.at(self.clock()).captured += 1

    def recorded(self, record: Record, jpeg_bytes: int | None = None) -> None:
        """An input has its record. `jpeg_bytes`: what it would have been as JPEG, None where nobody knows.

        Only answers of `cloud` and `local` that did not wait in the spool count for latency: the others' would say how
        long the link was down, or nothing.
        """
        status, size = record.status, record.frame_bytes
        with self.lock:
            row = _row(self.sources, record.source, SourceCounts)
            slot = self.timeline.at(self.clock())
            row.recorded[status] += 1
            setattr(slot, status, getattr(slot, status) + 1)
            row.frame_bytes += size
            slot.frame_bytes += size
            if jpeg_bytes is not None:
                row.compared_bytes += size
                row.jpeg_bytes += jpeg_bytes
                slot.compared_bytes += size
                slot.jpeg_bytes += jpeg_bytes
            if status in ("cloud", "local") and not record.spooled:
                row.latency.add(record.latency)
                slot.timed += 1
                slot.latency += record.latency
            if record.error:
                self._fail("input", record.source, record.error)

    def spooled(self, source: str) -> None:
        """An input goes into the spool; its record is counted when it has one."""
        with self.lock:
            _row(self.sources, source, SourceCounts).spooled += 1
            self.timeline.at(self.clock()).spooled += 1

    def dropped(self, source: str, reason: str) -> None:
        """An input was dropped by policy; `reason` is one word of few: `newer`, `full`, `rate`."""
        with self.lock:
            reasons = _row(self.sources, source, SourceCounts).dropped
            known = reason if reason in reasons or len(reasons) < REASONS else OTHER
            reasons[known] = reasons.get(known, 0) + 1
            self.timeline.at(self.clock()).dropped += 1

    def source_state(self, source: str, state: SourceState) -> None:
        """A source begins, or has ended."""
        with self.lock:
            _row(self.sources, source, SourceCounts).state = state

    def source_error(self, source: str, text: str) -> None:
        """A source broke off; the daemon tries it again."""
        with self.lock:
            row = _row(self.sources, source, SourceCounts)
            row.state = "failed"
            row.errors += 1
            row.error = self._fail("source", source, text)

    def sink_written(self, sink: str, records: int) -> None:
        """Records are safe in a sink."""
        with self.lock:
            row = _row(self.sinks, sink, SinkCounts)
            row.written += records
            row.failing = False

    def sink_error(self, sink: str, text: str) -> None:
        """A sink could not write; its records wait."""
        with self.lock:
            row = _row(self.sinks, sink, SinkCounts)
            row.failing = True
            row.errors += 1
            row.error = self._fail("sink", sink, text)

    def mode(self, model: str, mode: Mode, cut: str = "", codec: str = "", reason: str = "") -> None:
        """How a model is run from now on, and why; the same as before is no change."""
        with self.lock:
            row = _row(self.models, model, ModelState)
            if (row.mode, row.cut, row.codec) == (mode, cut, codec):
                return
            now, old = self.clock(), row.plan
            row.changes += row.mode is not None
            row.mode, row.cut, row.codec, row.reason, row.since = mode, cut, codec, shown(reason, 200), now
            row.modes.add(now, mode, row.plan)
            self.changes.append(Change(self.wall(), now, model, old, row.plan, row.reason))

    def link(self, address: str, state: LinkState) -> None:
        """How the way to a server is: when that changes, and about once a second for what is measured."""
        with self.lock:
            row, now = _row(self.servers, address, ServerState), self.clock()
            before = row.link
            row.link = state
            turned = before is None or before.state != state.state
            if turned:
                row.since = now
            if state.error and (turned or before is None or before.error != state.error):
                row.error = self._fail("server", address, state.error)
            self._note_bandwidth(now)

    def gauges(
        self,
        *,
        queues: Mapping[str, int] | None = None,
        in_flight: int | None = None,
        spool: SpoolState | None = None,
        waiting: Mapping[str, int] | None = None,
        device: DeviceState | None = None,
    ) -> None:
        """How much there is now; None leaves what was said before.

        `queues` are source -> inputs that wait, `in_flight` requests under way, `waiting` sink -> records not written.
        """
        with self.lock:
            for name, number in (queues or {}).items():
                _row(self.sources, name, SourceCounts).queue = number
            for name, number in (waiting or {}).items():
                _row(self.sinks, name, SinkCounts).waiting = number
            self.in_flight = self.in_flight if in_flight is None else in_flight
            self.spool, self.device = spool or self.spool, device or self.device

    @property
    def uplink(self) -> LinkState | None:
        """The link that is asked: the first server's that is up. For whoever holds `lock`."""
        links = (row.link for row in self.servers.values())
        return next((link for link in links if link is not None and link.state == "up"), None)

    def _note_bandwidth(self, now: float) -> None:
        link = self.uplink
        self.timeline.at(now).bandwidth = None if link is None else link.bandwidth

    def _fail(self, kind: Literal["source", "sink", "server", "input"], name: str, text: str) -> Failure:
        key = (kind, name, shown(text, 300))
        failure = self.failures.pop(key, None)
        if failure is None:
            failure = Failure(kind, shown(name), key[2], 0.0, 0)
        failure.seen, failure.times = self.clock(), failure.times + 1
        self.failures[key] = failure
        if len(self.failures) > ERRORS:
            self.failures.popitem(last=False)
        return failure


def _row(rows: dict[str, T], name: str, make: Callable[[], T]) -> T:
    found = rows.get(name)
    return found if found is not None else rows.setdefault(OTHER, make())


def _keep(rows: dict[str, Row], names: Iterable[str], make: Callable[[], Row]) -> None:
    wanted: list[str] = list(names)
    for name in wanted:
        rows.setdefault(name, make())
    for name, row in rows.items():
        row.gone = name not in (*wanted, OTHER)
