"""Choose cut, codec and mode. Needs nothing but the standard library, so that a device can do it in a loop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from splitnet.errors import UsageError
from splitnet.plan import model
from splitnet.plan.candidate import Candidate, Constraints, Link, Objective

STAGES = (
    "edge", "encode", "uplink", "rtt", "slow_start", "losses", "queue", "decode", "cloud", "downlink", "overhead",
)  # fmt: skip
"""The parts of a latency, in the order of time but for the RTT, which is half before and half after the cloud."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """A candidate on a link. Times in seconds, `sent` and `received` in bytes on the wire, `throughput` in photos a
    second, `energy` in joules of the device (None: not known).

    `bottleneck` is the stage that limits the throughput; `refusal` says why it may not be chosen, empty where it may.
    """

    candidate: Candidate
    edge: float
    encode: float
    uplink: float
    rtt: float
    slow_start: float
    losses: float
    queue: float
    decode: float
    cloud: float
    downlink: float
    overhead: float
    latency: float
    sent: float
    received: float
    throughput: float
    bottleneck: str
    energy: float | None
    refusal: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """The choice, and every prediction behind it: those that may be chosen first, each part from best to worst."""

    choice: Prediction
    table: tuple[Prediction, ...]
    link: Link
    constraints: Constraints
    objective: Objective


def predict(candidate: Candidate, link: Link, refusal: str = "") -> Prediction:
    """What `candidate` takes on `link`.

    The throughput is that of the slowest stage (device, uplink, downlink, cloud) when photos follow each other and the
    stages work side by side; of the cloud it has the share that its load leaves.
    """
    device = candidate.edge + candidate.encode
    if candidate.mode == "edge":
        return Prediction(
            candidate, candidate.edge, candidate.encode, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0,
            device, 0.0, 0.0, _rate(device), "edge", candidate.energy, refusal,
        )  # fmt: skip
    rtt, loss = link.rtt, link.loss
    back = link.bandwidth if link.downlink is None else link.downlink
    request = model.stream_bytes(candidate.size + model.REQUEST_FIELDS)
    answer = model.stream_bytes(candidate.answer + model.ANSWER_FIELDS)
    uplink = model.transmission(request, link.bandwidth, rtt, loss)
    downlink = model.transmission(answer, back, rtt, loss)
    losses = model.retransmission(request, rtt, loss) + model.retransmission(answer, rtt, loss)
    service = candidate.decode + candidate.cloud
    queue = model.queue_wait(service, link.cloud_load)
    steady = device + uplink + rtt + losses + queue + service + downlink + link.overhead
    pause = max(link.interval, steady)
    waiting = model.slow_start(request, link.bandwidth, rtt, loss, pause - uplink)
    waiting += model.slow_start(answer, back, rtt, loss, pause - downlink)
    latency = steady + waiting
    slowest, bottleneck = max(
        (device, "edge"), (uplink, "uplink"), (downlink, "downlink"), (service / (1 - link.cloud_load), "cloud")
    )
    sent = model.wire_bytes(request)
    energy = None if candidate.energy is None else candidate.energy + link.radio * sent / (1 - loss)
    return Prediction(
        candidate, candidate.edge, candidate.encode, uplink, rtt, waiting, losses, queue, candidate.decode,
        candidate.cloud, downlink, link.overhead, latency, sent, model.wire_bytes(answer), _rate(slowest), bottleneck,
        energy, refusal,
    )  # fmt: skip


def plan(
    candidates: Iterable[Candidate],
    link: Link,
    constraints: Constraints = Constraints(),  # noqa: B008 - frozen
    objective: Objective = "latency",
) -> Plan:
    """The best candidate that keeps to the constraints; of equal ones that with less latency, then the first.

    Raises
    ------
    UsageError
        if there are no candidates, none keeps to the constraints (says how close the best comes), or the objective is
        energy and nobody measured any.
    """
    table = [predict(one, link, constraints.refusal(one)) for one in candidates]
    allowed = [one for one in table if not one.refusal]
    if objective == "energy":
        # What is not known cannot be compared.
        allowed = [one for one in allowed if one.energy is not None]
        if not allowed and any(not one.refusal for one in table):
            raise UsageError("the edge profile holds no energy (RAPL was not readable there); choose another objective")
    if not allowed:
        raise UsageError(_nothing([one.candidate for one in table], constraints))
    allowed.sort(key=lambda one: _order(one, objective))
    kept = {id(one) for one in allowed}
    others = sorted((one for one in table if id(one) not in kept), key=lambda one: _order(one, "latency"))
    return Plan(allowed[0], (*allowed, *others), link, constraints, objective)


def best(candidates: Iterable[Candidate], link: Link, objective: Objective = "latency") -> Prediction:
    """The choice of `plan` among candidates that all may be chosen, without the table. Raises ValueError for none."""
    return min((predict(one, link) for one in candidates), key=lambda one: _order(one, objective))


def why(one: Prediction, made: Plan) -> str:
    """Why `one` was not chosen, in a few words; empty for the choice."""
    choice = made.choice
    if one is choice:
        return ""
    if one.refusal:
        return one.refusal
    if made.objective == "bytes" and one.sent > choice.sent:
        return f"{one.sent - choice.sent:+,.0f} bytes"
    if made.objective == "throughput" and one.throughput < choice.throughput:
        return f"{one.throughput:.3g} photos/s, limited by {one.bottleneck}"
    if made.objective == "energy" and (one.energy is None or choice.energy is None):
        return "energy not known"
    if made.objective == "energy" and one.energy is not None and choice.energy is not None:
        return f"{1000 * (one.energy - choice.energy):+.3g} mJ"
    stage = max(STAGES, key=lambda name: getattr(one, name) - getattr(choice, name))
    more = 1000 * (one.latency - choice.latency)
    return f"{more:+,.0f} ms, most of it {stage}" if more >= 100 else f"{more:+.3g} ms, most of it {stage}"


def _rate(seconds: float) -> float:
    return 1 / seconds if seconds > 0 else float("inf")


def _order(one: Prediction, objective: Objective) -> tuple[float, float]:
    match objective:
        case "latency":
            return one.latency, one.sent
        case "bytes":
            return one.sent, one.latency
        case "throughput":
            return -one.throughput, one.latency
        case "energy":
            return float("inf") if one.energy is None else one.energy, one.latency


def _nothing(candidates: list[Candidate], constraints: Constraints) -> str:
    candidates = [one for one in candidates if one.mode in constraints.modes]
    if not candidates:
        return f"there is nothing to choose from in the modes {', '.join(constraints.modes) or '(none)'}"
    parts = []
    if constraints.min_agreement is not None:
        known = [(one.agreement, one.name) for one in candidates if one.agreement is not None]
        closest = "nobody measured it" if not known else "the best is {:.4g}, {}".format(*max(known))
        parts.append(f"agreement of at least {constraints.min_agreement:g} ({closest})")
    if constraints.max_kl is not None:
        divergences = [(one.kl, one.name) for one in candidates if one.kl is not None]
        closest = "nobody measured it" if not divergences else "the best is {:.4g}, {}".format(*min(divergences))
        parts.append(f"KL of at most {constraints.max_kl:g} ({closest})")
    return f"none of the {len(candidates)} candidates has {' and '.join(parts)}; ask for less, or measure finer steps"
