"""What the link to a server is like, out of the exchanges that went over it."""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from splitnet.plan import model

SLOWEST, FASTEST = 1e3, 1e10
"""Bits a second between which a bandwidth is looked for."""
STEADY, STEP = 0.25, 0.7
"""Weight of a new bandwidth in the estimate: where it is near, and where it is more than `FAR` times away."""
FAR = 2.0
NOISE = 0.002
"""Seconds by which the way through both machines varies; less than that says nothing about a bandwidth."""
PROBES = 5
"""Round trips of which the shortest counts: the others waited behind something."""
SLOWLY = 0.3
"""Weight of a new measurement of the queue, and of the time between two requests."""
LONGEST_INTERVAL = 60.0
"""Seconds between two requests beyond which more makes no difference."""
FORGET = 10.0
"""Seconds after which what was heard of the server's line counts a third."""
OVERDUE, PATIENCE = 2.0, 0.3
"""An answer that takes so many times what was expected, and more seconds than one lost packet costs, is news itself."""
LARGEST = 65_536
"""Bytes that a measurement of the bandwidth may cost."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer: bytes of both messages, when the one left and the other came (one clock, seconds), and
    how long the service had it, of that in line. `probe` says that it was sent to measure, and not to ask.
    """

    request: float
    answer: float
    sent: float
    came: float
    service: float
    queue: float = 0.0
    probe: bool = False

    @property
    def wire(self) -> float:
        """Seconds that neither side accounts for."""
        return max(0.0, self.came - self.sent - self.service)


class Meter:
    """Estimates of round trip (seconds), bandwidth (bits a second), the server's queue and the time from one request to
    the next (seconds); None: not known.

    The round trip is that of small messages (`probed`), so it holds what gRPC adds. The bandwidth of an exchange is the
    one at which the planner's own model (`splitnet.plan.model`) would take as long as it took, so that both agree; of
    exchanges that overlap, what counts is the time from one answer to the next. An exchange that takes no longer than
    its noise only says that the bandwidth is at least so high (`bounded`); `surprised` says that the last one was far
    from the estimate and no round trip was measured since.
    """

    def __init__(self) -> None:
        self.rtt: float | None = None
        self.bandwidth: float | None = None
        self.queue, self.interval, self.service = 0.0, 0.0, 0.0
        self.exchanges = 0
        self.surprised = False
        self.bounded = False
        self._probes: deque[float] = deque(maxlen=PROBES)
        self._last_answer, self._last_sent, self._asked = -math.inf, math.inf, -math.inf

    def probed(self, seconds: float, *, alone: bool) -> None:
        """A round trip of a small message; `alone` says that nothing else was on its way."""
        if not alone:
            # It waited behind frames: a bound from above, and only that.
            if self.rtt is None or seconds < self.rtt:
                self.rtt = seconds
            return
        self._probes.append(seconds)
        if self.surprised:
            # Whatever changed, round trips of before may have changed too.
            self._probes = deque([seconds], maxlen=PROBES)
            self.surprised = False
        self.rtt = min(self._probes)

    def exchanged(self, one: Exchange) -> None:
        """An exchange that was answered."""
        self.exchanges += 1
        # The first one opens the window, as after a long pause.
        idle = max(0.0, one.sent - self._last_sent) if self.exchanges > 1 else math.inf
        if not one.probe:
            self.queue += SLOWLY * (one.queue - self.queue)
            self.service += SLOWLY * (one.service - one.queue - self.service)
            self._asked = one.came
            if self.exchanges > 1:
                self.interval += SLOWLY * (min(idle, LONGEST_INTERVAL) - self.interval)
        self._last_sent = one.sent
        rtt = self.rtt
        if rtt is None:
            # The first exchange: all of its time is taken for round trip, which a probe corrects.
            rtt = self.rtt = one.wire
        if one.wire < rtt:
            rtt = self.rtt = one.wire
        waited = one.wire
        if one.sent < self._last_answer:
            # The link was busy with the one before: this one had it from that answer on.
            waited = min(waited, rtt + one.came - self._last_answer)
        self._last_answer = max(self._last_answer, one.came)
        found = bandwidth_of(one.request, one.answer, waited, rtt, idle)
        # Too short to tell: only a bound from below.
        self.bounded = waited - rtt <= NOISE
        if self.bandwidth is None:
            self.bandwidth = found
        elif self.bounded:
            self.bandwidth = max(self.bandwidth, found)
        else:
            far = max(found / self.bandwidth, self.bandwidth / found) > FAR
            self.surprised = self.surprised or far
            weight = STEP if far else STEADY
            self.bandwidth = math.exp((1 - weight) * math.log(self.bandwidth) + weight * math.log(found))

    @property
    def payload(self) -> int:
        """Bytes that would take long enough to measure the bandwidth, at most `LARGEST`."""
        if self.bandwidth is None:
            return 4096
        return min(LARGEST, max(1024, int(4 * NOISE * self.bandwidth / 8)))

    def quiet(self, now: float) -> float:
        """Seconds since anything came that says something about the bandwidth; infinite where nothing did."""
        return now - self._last_answer

    def queue_at(self, now: float) -> float:
        """Seconds in the server's line, by now: what was heard long ago says little."""
        return self.queue * math.exp(-max(0.0, now - self._asked) / FORGET) if self.exchanges else 0.0

    def waiting(self, request: float, answer: float, sent: float, now: float) -> None:
        """The oldest exchange under way: a link that became slow is noticed before an answer comes."""
        if self.bandwidth is None or self.rtt is None:
            return
        seconds = now - max(sent, self._last_answer)
        expected = wire_seconds(request, answer, self.bandwidth, self.rtt) + self.queue + self.service
        if seconds > max(OVERDUE * expected, PATIENCE):
            self.late(request, seconds - self.service)

    def late(self, request: float, seconds: float) -> None:
        """Silence for `seconds` after a request of so many bytes: the bandwidth is at most what this allows.

        Less than two round trips and what the server's line takes say nothing.
        """
        rtt = self.rtt or 0.0
        seconds -= self.queue
        if seconds < 2 * rtt + NOISE:
            return
        most = bandwidth_of(request, 0.0, seconds, rtt)
        self.surprised = True
        if self.bandwidth is not None:
            self.bandwidth = min(self.bandwidth, most)


def wire_seconds(request: float, answer: float, bandwidth: float, rtt: float, idle: float = math.inf) -> float:
    """What the planner's model says for messages of so many bytes, both ways at the same bandwidth, after `idle`
    seconds in which nothing was sent.
    """
    up, down = model.stream_bytes(request), model.stream_bytes(answer)
    return (
        rtt
        + model.transmission(up, bandwidth)
        + model.transmission(down, bandwidth)
        + model.slow_start(up, bandwidth, rtt, idle=idle)
        + model.slow_start(down, bandwidth, rtt, idle=idle)
    )


def bandwidth_of(request: float, answer: float, seconds: float, rtt: float, idle: float = math.inf) -> float:
    """The bandwidth at which `wire_seconds` is `seconds`, by bisection of its logarithm; less than `NOISE` beyond the
    round trip is taken for `NOISE`.
    """
    seconds = max(seconds, rtt + NOISE)
    up, down = model.stream_bytes(request), model.stream_bytes(answer)
    if max(up, down) <= model.INITIAL_WINDOW:
        # Most frames: nothing waits for a window, so the time is proportional.
        return 8 * (model.wire_bytes(up) + model.wire_bytes(down)) / (seconds - rtt)
    low, high = math.log(SLOWEST), math.log(FASTEST)
    for _ in range(24):
        middle = (low + high) / 2
        if wire_seconds(request, answer, math.exp(middle), rtt, idle) > seconds:
            low = middle
        else:
            high = middle
    return math.exp((low + high) / 2)
