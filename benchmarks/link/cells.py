"""One cell of the grid: a link of some settings, and how far it is from what was asked for."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import islice
from statistics import median
from typing import Any

from benchmarks.link.link import Link
from benchmarks.link.loss import losses
from benchmarks.link.probes import HEADERS, LEAST, bulk_rate, round_trips, train
from benchmarks.link.settings import MTU, LinkSettings

_MOST_A_SECOND = 8000
"""Datagrams that Python sends and reads comfortably."""

ENOUGH = 60_000
"""Packets after which a share of 20 % is known to 0.16 points (one standard deviation)."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How long a cell is measured: round trips, and seconds of each kind of traffic at most."""

    pings: int
    bulk: float
    train: float


@dataclass(frozen=True, slots=True)
class Cell:
    """Asked for, and measured: bit/s, seconds, shares.

    The rate is measured by TCP upward where nothing is lost, and by a train of datagrams downward. `asked_rtt` has the
    packets' time on the line in it. `undecided` counts packets that were lost, or not, against the seed's decision.
    """

    rate: float
    asked_rtt: float
    asked_loss: float
    bulk: float | None
    train: float
    rtt: float
    loss: float
    packets: int
    undecided: int

    @property
    def rate_error(self) -> float:
        """Relative; the worse of both."""
        return max(abs(rate / self.rate - 1) for rate in (self.bulk, self.train) if rate is not None)

    @property
    def rtt_error(self) -> float:
        """Seconds."""
        return abs(self.rtt - self.asked_rtt)

    @property
    def loss_error(self) -> float:
        """In points (hundredths)."""
        return abs(self.loss - self.asked_loss) * 100

    def row(self) -> dict[str, Any]:
        """For the JSON."""
        errors = {name: getattr(self, name) for name in ("rate_error", "rtt_error", "loss_error")}
        return {"kind": "cell", **asdict(self), **errors}


def measure_cell(rate: float, rtt: float, loss: float, effort: Effort, seed: int) -> Cell:
    """Make the link and measure it. A train's datagrams are as small as 8,000 a second allow, to count many losses."""
    settings = LinkSettings(rate_up=rate, rate_down=rate, delay=rtt / 2, loss=loss)
    size = int(min(MTU, max(HEADERS + LEAST, rate / 8 / _MOST_A_SECOND)))
    interval = size * 8 / rate
    count = int(min(effort.train / interval, ENOUGH))
    with Link(settings, seed=seed) as link:
        line = 2 * (HEADERS + LEAST) * 8 / rate
        # Far enough apart that no ping waits for another one.
        trips = round_trips(link, effort.pings, max(0.02, line), patience=rtt + line + 0.2)
        _, down = link.counters()
        before = down.passed + down.lost
        # A few ahead keep the line busy, however late the sender wakes; they wait in the queue.
        seen = train(link, "server", size, count, interval, ahead=min(count, max(4, int(0.1 / interval))))
        decided = islice(losses(settings.channel, seed, "down"), before, before + count)
        undecided = sum(lost != wanted for lost, wanted in zip(seen.lost, decided, strict=True))
        bulk = None if loss else bulk_rate(link, "client", effort.bulk * (4 if rate < 1e6 else 1), warm_up=1.0)
    share = sum(seen.lost) / count
    return Cell(rate, rtt + line, loss, bulk, seen.rate, median(trips), share, count, undecided)
