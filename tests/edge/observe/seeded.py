"""A tally with a history: a quarter of an hour in which the link became slow, went down, and came back."""

from __future__ import annotations

from typing import Any

from splitnet.edge.daemon.record import Record, Status
from splitnet.edge.observe.state import DeviceState, LinkState, SpoolState
from splitnet.edge.observe.tally import EdgeTally

START = 5000.0
SECONDS = 900
SERVERS = ("inference-1.example:50051", "inference-2.example:50051")


class Clock:
    """Stands still until it is set."""

    def __init__(self, now: float = START) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def record(source: str = "door", status: Status = "cloud", **changes: Any) -> Record:
    """A record as the daemon makes it."""
    values: dict[str, Any] = {
        "id": "00" * 16,
        "source": source,
        "name": "frame 7",
        "captured": 1000.0,
        "answered": 1000.02,
        "latency": 0.02,
        "status": status,
        "model": "lite0",
    }
    return Record(**(values | changes))


def configured(clock: Clock) -> EdgeTally:
    """Two sources, two sinks, two models, two servers, and nothing that happened."""
    tally = EdgeTally(clock, lambda: 1_700_000_000.0 + clock.now)
    tally.configure(sources=("door", "inbox"), sinks=("answers", "hook"), models=("lite0", "faces"), servers=SERVERS)
    return tally


def seeded(clock: Clock) -> EdgeTally:
    """The history; the clock stands at its end."""
    tally = configured(clock)
    tally.mode("faces", "cloud", "", "webp:quality=90", "the lowest latency: 31 ms")
    for second in range(SECONDS):
        clock.now = START + second
        _link(tally, second)
        _inputs(tally, second)
    tally.source_error("inbox", "/srv/splitnet/inbox cannot be read: Permission denied")
    for _ in range(40):
        tally.sink_error("hook", "https://hooks.example/answers answers 503: tried again in 10 s")
    tally.gauges(
        queues={"door": 1, "inbox": 3},
        in_flight=4,
        spool=SpoolState(37, 184_320, tally.wall() - 520),
        waiting={"answers": 0, "hook": 41},
        device=DeviceState(54.3, 0.42),
    )
    return tally


def _link(tally: EdgeTally, second: int) -> None:
    first, other = SERVERS
    wobble = 1 + 0.1 * (second * 7919 % 11) / 11
    standby = LinkState("standby", 4.1e6, 0.031)
    if second < 300:
        tally.link(first, LinkState("up", 9.2e6 * wobble, 0.018 * wobble, 0.002))
        tally.link(other, standby)
        tally.mode("lite0", "split", "block7", "transform:step=1.5|rans", "the lowest latency: 24 ms")
    elif second < 480:
        tally.link(first, LinkState("up", 0.8e6 * wobble, 0.065 * wobble, 0.002))
        tally.mode("lite0", "split", "block10", "transform:step=2|rans", "uplink 0.8 Mbit/s: 21 ms sooner")
    elif second < 620:
        tally.link(first, LinkState("down", error="failed to connect: Connection refused"))
        tally.link(other, LinkState("down", error="no answer within 10 s"))
        tally.mode("lite0", "edge", reason="no server answers")
    else:
        tally.link(first, LinkState("connecting", error="failed to connect: Connection refused"))
        tally.link(other, LinkState("up", 5.5e6 * wobble, 0.031 * wobble, 0.011))
        tally.mode("lite0", "split", "block7", "transform:step=1.5|rans", "uplink 5.5 Mbit/s: 40 ms sooner")


def _inputs(tally: EdgeTally, second: int) -> None:
    down = 480 <= second < 620
    wobble = (second * 104729 % 13) / 13
    for number in range(4):
        tally.captured("door")
        if number == 3 and second % 3:
            tally.dropped("door", "newer")
        elif down:
            tally.recorded(record(status="local", latency=0.072 + 0.01 * wobble), 17_000)
        elif number == 2 and second % 4 == 0:
            tally.recorded(record(status="skipped", latency=0.004), 17_000)
        else:
            slow = 0.045 if 300 <= second < 480 else 0.0
            sent = record(latency=0.021 + slow + 0.006 * wobble, cut="block7", frame_bytes=2_600 + int(300 * wobble))
            tally.recorded(sent, 17_000)
    if second % 11 == 0:
        tally.captured("inbox")
        if down:
            tally.spooled("inbox")
        else:
            tally.recorded(record("inbox", latency=0.05, frame_bytes=2_700, spooled=second > 620), 18_500)
    tally.sink_written("answers", 4)
    if second == 200:
        tally.recorded(record("inbox", "failed", error="inbox/broken.jpg cannot be decoded: truncated file"))
