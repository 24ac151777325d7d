"""Plans that follow the link and do not flap."""

from __future__ import annotations

import pytest

from splitnet.edge.adapt.choice import Choice
from splitnet.edge.adapt.live import SURE, Conditions, LivePlan
from splitnet.errors import UsageError
from splitnet.plan import Candidate, Constraints

EDGE = Candidate("edge", edge=0.140, agreement=1.0, kl=0.0)
BLOCK7 = Candidate(
    "split", "block7", "transform:step=1.5|rans", edge=0.080, encode=0.004, size=1_400, answer=500, decode=0.001,
    cloud=0.005, agreement=0.95, kl=0.02,
)  # fmt: skip
COARSE = Candidate(
    "split", "block7", "transform:step=2.5|rans", edge=0.080, encode=0.004, size=900, answer=500, decode=0.001,
    cloud=0.005, agreement=0.9, kl=0.06,
)  # fmt: skip
JPEG = Candidate(
    "cloud", "", "jpeg:quality=90", edge=0.010, encode=0.02, size=17_000, answer=500, decode=0.004, cloud=0.008,
    agreement=0.95, kl=0.04,
)  # fmt: skip
ALL = (EDGE, BLOCK7, COARSE, JPEG)

FAST = Conditions(True, 100e6, 0.005)
MIDDLE = Conditions(True, 1e6, 0.01)
SLOW = Conditions(True, 0.01e6, 0.05)
DOWN = Conditions(False)


class Log:
    """Changes as they came."""

    def __init__(self) -> None:
        self.changes: list[tuple[str, str, str]] = []

    def __call__(self, old: Choice, new: Choice, reason: str) -> None:
        self.changes.append((old.way, new.way, reason))


def live(
    log: Log | None = None, constraints: Constraints | None = None, candidates: tuple[Candidate, ...] = ALL
) -> LivePlan:
    return LivePlan(candidates, constraints or Constraints(max_kl=0.05), "latency", input_cut="input", changed=log)


def settle(plan: LivePlan, now: Conditions) -> str:
    for _ in range(SURE):
        plan.look(now)
    return plan.choice.way


def test_each_link_has_its_mode() -> None:
    plan = live()
    assert settle(plan, FAST) == "cloud jpeg:quality=90"
    assert settle(plan, MIDDLE) == "block7 transform:step=1.5|rans"
    assert settle(plan, SLOW) == "all on the edge"
    assert settle(plan, FAST) == "cloud jpeg:quality=90"


def test_images_go_to_the_cut_of_the_input() -> None:
    plan = live()
    settle(plan, FAST)
    assert (plan.choice.mode, plan.choice.cut, plan.choice.codec) == ("cloud", "input", "jpeg:quality=90")
    assert plan.choice.local == pytest.approx(0.140)


def test_every_change_says_why() -> None:
    log = Log()
    plan = live(log)
    settle(plan, FAST)
    settle(plan, SLOW)
    old, new, reason = log.changes[-1]
    assert (old, new) == ("cloud jpeg:quality=90", "all on the edge")
    assert reason.startswith("0.01 Mbit/s, 50 ms: 140 ms where cloud jpeg:quality=90 takes ")
    assert plan.choice.reason == reason


def test_a_floor_of_fidelity_holds_in_every_condition() -> None:
    plan = live(constraints=Constraints(max_kl=0.03))
    for now in (FAST, MIDDLE, SLOW, DOWN):
        settle(plan, now)
        assert plan.choice.codec not in (JPEG.codec, COARSE.codec)
    with pytest.raises(UsageError, match=r"KL of at most 0\.01"):
        live(constraints=Constraints(max_kl=0.01), candidates=(BLOCK7, COARSE, JPEG))


def test_without_a_server_the_device_answers_at_once() -> None:
    log = Log()
    plan = live(log)
    settle(plan, FAST)
    plan.look(DOWN)
    assert plan.choice.mode == "edge"
    assert log.changes[-1][2] == "no server answers"
    plan.look(DOWN)
    assert len(log.changes) == 1


def test_without_a_server_and_without_the_network_nothing_changes() -> None:
    log = Log()
    plan = live(log, candidates=(BLOCK7, JPEG))
    before = plan.choice
    plan.look(DOWN)
    assert plan.choice == before
    assert plan.cloud_only
    assert not log.changes


def test_a_link_that_swings_around_the_border_changes_nothing() -> None:
    log = Log()
    plan = live(log)
    settle(plan, MIDDLE)
    changes = len(log.changes)
    # Where both take the same time, and ten percent to either side.
    border = next(
        rate for rate in range(50_000, 100_000_000, 50_000)
        if plan_latency(JPEG, rate) <= plan_latency(BLOCK7, rate)
    )  # fmt: skip
    for turn in range(200):
        plan.look(Conditions(True, border * (1.05 if turn % 2 else 0.95), 0.01))
    assert len(log.changes) == changes


def plan_latency(candidate: Candidate, rate: float) -> float:
    from splitnet.plan import Link, predict

    return predict(candidate, Link(rate, 0.01)).latency


def test_one_odd_measure_changes_nothing() -> None:
    log = Log()
    plan = live(log)
    settle(plan, MIDDLE)
    changes = len(log.changes)
    for _ in range(20):
        plan.look(SLOW)
        plan.look(MIDDLE)
    assert len(log.changes) == changes


def test_a_device_that_is_slower_than_its_profile_sends_more() -> None:
    plan = live(candidates=(EDGE, JPEG))
    assert settle(plan, Conditions(True, 1.3e6, 0.01)) == "all on the edge"
    for _ in range(30):
        plan.computed(plan.choice, 3 * EDGE.edge)
    assert settle(plan, Conditions(True, 1.3e6, 0.01)) == "cloud jpeg:quality=90"


def test_a_service_that_is_slower_than_its_profile_is_asked_less() -> None:
    plan = live()
    assert settle(plan, FAST) == "cloud jpeg:quality=90"
    for _ in range(40):
        plan.answered(plan.choice, 0.5)
    assert settle(plan, FAST) == "all on the edge"
    # Nobody hears of it any more; it is tried again after a while.
    for _ in range(400):
        plan.look(FAST)
    assert plan.choice.way == "cloud jpeg:quality=90"


def test_a_line_at_the_server_counts() -> None:
    plan = live()
    assert settle(plan, Conditions(True, 100e6, 0.005, queue=0.5)) == "all on the edge"


def test_before_the_link_is_known_the_assumed_one_counts() -> None:
    plan = live()
    before = plan.choice
    assert before.reason == "before anything was measured"
    assert plan.look(Conditions(True)) == before


def test_a_faster_link_is_of_interest_only_where_it_would_change_the_choice() -> None:
    plan = live()
    assert plan.curious
    settle(plan, SLOW)
    assert plan.curious
    settle(plan, FAST)
    assert not plan.curious
    # A device that nothing sent can beat, on whatever link.
    quick = live(candidates=(Candidate("edge", edge=0.004, agreement=1.0, kl=0.0), BLOCK7, JPEG))
    settle(quick, SLOW)
    assert not quick.curious
