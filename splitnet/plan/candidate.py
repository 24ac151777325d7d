"""What the planner chooses from, and under which conditions: frozen values, cheap to make."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Literal

from splitnet.errors import UsageError

Mode = Literal["edge", "split", "cloud"]
Objective = Literal["latency", "bytes", "energy", "throughput"]

MODES: tuple[Mode, ...] = ("edge", "split", "cloud")
OBJECTIVES: tuple[Objective, ...] = ("latency", "bytes", "energy", "throughput")


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to answer a photo. Times in seconds of one request, sizes in bytes, energy in joules.

    Attributes
    ----------
    mode
        `edge`: the whole network on the device; `split`; `cloud`: an image file goes to the cloud.
    cut, codec
        Of a split: the cut's name and the codec's spec. Of `cloud`, the codec is the image's, `webp:quality=90`.
    edge, encode
        On the device: photo to features, features (or pixels) to a frame (or file).
    size, answer
        Of the frame or file, and of the answer's message; both 0 for `edge`.
    decode, cloud
        In the service: frame to features, features to results with all heads.
    agreement, kl
        Share of photos with the unsplit network's top-1, mean KL divergence to its output in nats; None: not known.
    photos
        On how many that was measured; 0 where it is not known, or true by construction.
    energy
        Of the device's processor; None: not known.
    """

    mode: Mode
    cut: str = ""
    codec: str = ""
    edge: float = 0.0
    encode: float = 0.0
    size: float = 0.0
    answer: float = 0.0
    decode: float = 0.0
    cloud: float = 0.0
    agreement: float | None = None
    kl: float | None = None
    photos: int = 0
    energy: float | None = None

    @property
    def name(self) -> str:
        """In a few words."""
        return {"edge": "all on the edge", "split": f"{self.cut} {self.codec}", "cloud": f"cloud {self.codec}"}[
            self.mode
        ]


@dataclass(frozen=True, slots=True)
class Link:
    """The way to the cloud, and how busy it is there.

    Attributes
    ----------
    bandwidth
        Uplink, bits a second.
    rtt
        Round trip of a small packet, seconds.
    loss
        Share of packets lost, each direction, 0 to below 1.
    downlink
        Bits a second; None: as much as the uplink.
    cloud_load
        Utilisation of the worker that answers, 0 to below 1.
    overhead
        Seconds that gRPC and the service add, as measured; 0 where nobody measured.
    radio
        Joules a byte that the device sends.
    interval
        Seconds from one photo to the next; 0: each follows the answer to the one before.

    Raises UsageError for a value out of range.
    """

    bandwidth: float
    rtt: float
    loss: float = 0.0
    downlink: float | None = None
    cloud_load: float = 0.0
    overhead: float = 0.0
    radio: float = 0.0
    interval: float = 0.0

    def __post_init__(self) -> None:
        _positive("bandwidth", self.bandwidth / 1e6, "Mbit/s")
        if self.downlink is not None:
            _positive("downlink", self.downlink / 1e6, "Mbit/s")
        for name, value, unit in (
            ("rtt", 1000 * self.rtt, " ms"),
            ("overhead", 1000 * self.overhead, " ms"),
            ("radio energy", 1e6 * self.radio, " µJ a byte"),
            ("interval", 1000 * self.interval, " ms"),
        ):
            if not (value >= 0 and isfinite(value)):
                raise UsageError(f"{name} {value:g}{unit} cannot be: give a number of at least 0")
        for name, value in (("loss", self.loss), ("cloud load", self.cloud_load)):
            if not 0 <= value < 1:
                raise UsageError(f"{name} {value:g} cannot be: give a share of at least 0 and below 1")


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a choice must keep to; None: anything. Raises UsageError for a value out of range.

    A candidate whose agreement or KL divergence nobody measured does not keep to a bound on it.
    """

    min_agreement: float | None = None
    max_kl: float | None = None
    modes: tuple[Mode, ...] = MODES

    def __post_init__(self) -> None:
        if self.min_agreement is not None and not 0 <= self.min_agreement <= 1:
            raise UsageError(f"min agreement {self.min_agreement:g} cannot be: give a share from 0 to 1")
        if self.max_kl is not None and not self.max_kl >= 0:
            raise UsageError(f"max KL {self.max_kl:g} cannot be: give nats, at least 0")

    def refusal(self, candidate: Candidate) -> str:
        """Why `candidate` may not be chosen; empty where it may."""
        if candidate.mode not in self.modes:
            return "mode not wanted"
        if self.min_agreement is not None and not _at_least(candidate.agreement, self.min_agreement):
            return _told("agreement", candidate.agreement, "<", self.min_agreement)
        if self.max_kl is not None and not _at_least(self.max_kl, candidate.kl):
            return _told("KL", candidate.kl, ">", self.max_kl)
        return ""


def _positive(name: str, value: float, unit: str) -> None:
    if not (value > 0 and isfinite(value)):
        raise UsageError(f"{name} {value:g} {unit} cannot be: give a number above 0")


def _at_least(value: float | None, bound: float | None) -> bool:
    return value is not None and bound is not None and value >= bound


def _told(what: str, value: float | None, sign: str, bound: float) -> str:
    return f"{what} not known" if value is None else f"{what} {value:.4g} {sign} {bound:.4g}"
