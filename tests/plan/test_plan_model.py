"""The planner against brute force, and the model's monotony and limits."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from math import ceil, inf, nan, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.errors import UsageError
from splitnet.plan import Candidate, Constraints, Link, Objective, best, model, plan, predict
from splitnet.plan.candidate import MODES, OBJECTIVES
from splitnet.plan.planner import STAGES, why

seconds = st.floats(0, 2, allow_subnormal=False)
sizes = st.floats(0, 300_000, allow_subnormal=False)
shares = st.none() | st.floats(0, 1)
candidates = st.builds(
    Candidate,
    mode=st.sampled_from(MODES),
    cut=st.sampled_from(("a", "b")),
    codec=st.sampled_from(("x", "y")),
    edge=st.floats(1e-4, 2),
    encode=seconds,
    size=sizes,
    answer=sizes,
    decode=seconds,
    cloud=st.floats(1e-4, 2),
    agreement=shares,
    kl=shares,
    energy=st.none() | st.floats(0, 5),
)
links = st.builds(
    Link,
    interval=st.just(1e6),
    bandwidth=st.floats(1e4, 1e9),
    rtt=st.floats(0, 1, allow_subnormal=False),
    loss=st.just(0.0) | st.floats(1e-6, 0.3),
    downlink=st.none() | st.floats(1e4, 1e9),
    cloud_load=st.floats(0, 0.95),
    overhead=st.floats(0, 0.1),
    radio=st.floats(0, 1e-5),
)
# Often none, so that several candidates are left to choose from.
constraints = st.just(Constraints()) | st.builds(
    Constraints, min_agreement=shares, max_kl=shares, modes=st.just(MODES) | st.just(("split",))
)


def _latency(one: Candidate, link: Link) -> float:
    """The model once more, written out."""
    if one.mode == "edge":
        return one.edge + one.encode
    total = one.edge + one.encode + link.rtt + link.overhead
    for message, bandwidth in ((one.size + 125, link.bandwidth), (one.answer + 66, link.downlink or link.bandwidth)):
        payload = message + 5 + 9 * ceil((message + 5) / 16384)
        count, first = ceil(payload / 1448), min(payload, 14480)
        rate = bandwidth
        if link.loss > 0 and link.rtt > 0:
            rate = min(rate, 8 * 1448 / link.rtt * sqrt(1.5) / sqrt(link.loss))
        wire, early = payload + 52 * count, first + 52 * ceil(first / 1448)
        total += (8 * early / bandwidth + 8 * (wire - early) / rate) / (1 - link.loss)
        total += count * link.loss / (1 - link.loss) * link.rtt
        # Windows of 10, 20, 40 ... segments, each sent once the one before is acknowledged, unless it takes longer.
        times = [8 * 10 * 2**k * 1500 / bandwidth for k in range(40) if 14480 * (2 ** (k + 1) - 1) < payload]
        waits = sum(max(0.0, link.rtt - seconds) for seconds in times)
        total += max(0.0, waits - 8 * (wire - early) * (1 / rate - 1 / bandwidth))
    service = one.decode + one.cloud
    return total + service + link.cloud_load * service / (2 - 2 * link.cloud_load)


@given(candidates, links)
def test_latency_is_the_sum_of_its_stages_and_what_the_formula_says(one: Candidate, link: Link) -> None:
    found = predict(one, link)
    assert found.latency == pytest.approx(_latency(one, link), rel=1e-9)
    assert found.latency == pytest.approx(sum(getattr(found, stage) for stage in STAGES), rel=1e-9)


def _worth(one: Candidate, link: Link, objective: Objective) -> float:
    found = predict(one, link)
    if objective == "latency":
        return _latency(one, link)
    if objective == "energy":
        return inf if found.energy is None else found.energy
    return found.sent if objective == "bytes" else -found.throughput


def _allowed(one: Candidate, bounds: Constraints) -> bool:
    if one.mode not in bounds.modes:
        return False
    if bounds.min_agreement is not None and (one.agreement is None or one.agreement < bounds.min_agreement):
        return False
    return bounds.max_kl is None or (one.kl is not None and one.kl <= bounds.max_kl)


@pytest.mark.parametrize("objective", OBJECTIVES)
@given(given_ones=st.lists(candidates, min_size=1, max_size=12), link=links, bounds=constraints)
def test_the_choice_is_the_best_of_all_that_may_be_chosen(
    objective: Objective, given_ones: list[Candidate], link: Link, bounds: Constraints
) -> None:
    allowed = [one for one in given_ones if _allowed(one, bounds)]
    if objective == "energy":
        allowed = [one for one in allowed if one.energy is not None]
    if not allowed:
        with pytest.raises(UsageError):
            plan(given_ones, link, bounds, objective)
        return
    made = plan(given_ones, link, bounds, objective)
    assert _allowed(made.choice.candidate, bounds)
    least = min(_worth(one, link, objective) for one in allowed)
    assert _worth(made.choice.candidate, link, objective) == pytest.approx(least, rel=1e-9)
    assert sorted(map(repr, given_ones)) == sorted(repr(one.candidate) for one in made.table)
    assert made.table[0] is made.choice
    assert best(allowed, link, objective) == made.choice
    # Each loser says why, the choice does not.
    assert [not why(one, made) for one in made.table] == [one is made.choice for one in made.table]


@given(candidates, links, st.floats(1, 100))
def test_a_better_link_is_never_slower(one: Candidate, link: Link, factor: float) -> None:
    base = predict(one, link).latency
    better = [
        replace(link, bandwidth=link.bandwidth * factor),
        replace(link, rtt=link.rtt / factor),
        replace(link, loss=link.loss / factor),
        replace(link, cloud_load=link.cloud_load / factor),
        replace(link, downlink=(link.downlink or link.bandwidth) * factor),
    ]
    for other in better:
        assert predict(one, other).latency <= base * (1 + 1e-12)


@given(candidates, links, st.floats(0, 1e5))
def test_more_bytes_are_never_faster(one: Candidate, link: Link, more: float) -> None:
    small, large = predict(one, link), predict(replace(one, size=one.size + more), link)
    assert small.latency <= large.latency * (1 + 1e-12)
    assert small.sent <= large.sent


@given(st.lists(candidates, min_size=1, max_size=8), links, st.floats(1, 100))
def test_the_best_latency_falls_with_bandwidth(some: list[Candidate], link: Link, factor: float) -> None:
    faster = replace(link, bandwidth=link.bandwidth * factor)
    assert best(some, faster).latency <= best(some, link).latency * (1 + 1e-12)


def test_a_request_by_hand() -> None:
    one = Candidate("split", "c", "x", edge=0.05, encode=0.01, size=2000 - 130 - 9, answer=0, decode=0.001, cloud=0.003)
    found = predict(one, Link(bandwidth=1e6, rtt=0.02, cloud_load=0.5))
    # 2,000 bytes in two packets with 52 bytes of headers each; M/D/1 at half load waits half a service time.
    assert found.sent == 2104
    assert found.uplink == pytest.approx(0.016832)
    assert found.downlink == pytest.approx(8 * (80 + 52) / 1e6)
    assert found.queue == pytest.approx(0.002)
    assert found.throughput == pytest.approx(1 / 0.06)
    assert found.bottleneck == "edge"
    assert predict(one, Link(bandwidth=1e5, rtt=0.02)).bottleneck == "uplink"


def test_throughput_of_a_loaded_cloud_and_energy_of_the_radio() -> None:
    one = Candidate("split", "c", "x", edge=0.01, size=2000 - 130 - 9, decode=0.01, cloud=0.04, energy=0.5)
    found = predict(one, Link(bandwidth=1e9, rtt=0.01, cloud_load=0.75, radio=1e-4))
    assert found.throughput == pytest.approx(0.25 / 0.05)
    assert found.bottleneck == "cloud"
    assert found.energy == pytest.approx(0.5 + 1e-4 * 2104)
    lossy = predict(one, Link(bandwidth=1e9, rtt=0.01, loss=0.2, radio=1e-4))
    assert lossy.energy == pytest.approx(0.5 + 1e-4 * 2104 / 0.8)
    # The device alone sends nothing.
    alone = predict(Candidate("edge", edge=0.2, energy=1.5), Link(bandwidth=1e9, rtt=0.01, radio=1e-4))
    assert (alone.latency, alone.sent, alone.energy, alone.throughput) == (0.2, 0, 1.5, 5)


def test_a_long_message_waits_for_the_window_to_open() -> None:
    """10 segments, then 20, then 40, a round trip each; on a slow link the window is open before it is needed."""
    assert model.slow_start(14_480, 1e9, 0.08) == 0
    assert model.slow_start(14_481, 1e9, 0.08) == pytest.approx(0.08, rel=0.01)
    assert model.slow_start(40_000, 1e9, 0.08) == pytest.approx(0.08, rel=0.01)
    assert model.slow_start(44_000, 1e9, 0.08) == pytest.approx(0.16, rel=0.01)
    assert model.slow_start(40_000, 1e6, 0.2) == pytest.approx(0.2 - 0.12)
    assert model.slow_start(1e6, 1e5, 0.08) == 0
    assert model.slow_start(40_000, 1e9, 0.0) == 0
    # With losses the rate of Mathis et al. is slower still, and holds the same waiting.
    assert model.slow_start(40_000, 1e9, 0.08, 0.1) == 0


def test_the_window_stays_open_while_messages_follow_each_other() -> None:
    """A pause longer than the round trip and 200 ms halves it, twice as long twice, down to ten segments."""
    assert [model.window_after(100_000, 0.08, idle) for idle in (0.0, 0.28, 0.281, 0.57, 0.85, 1e9)] == [
        100_000, 100_000, 50_000, 25_000, 14_480, 14_480,
    ]  # fmt: skip
    assert model.window_after(1_000, 0.08, 0.0) == 14_480
    assert model.slow_start(40_000, 1e9, 0.08, idle=0.28) == 0
    assert model.slow_start(40_000, 1e9, 0.08, idle=0.29) == pytest.approx(0.08, rel=0.01)


@pytest.mark.parametrize(("edge", "interval", "waits"), [(0.05, 0.0, 0), (0.3, 0.0, 1), (0.05, 1.0, 1)])
def test_a_device_that_pauses_longer_than_the_time_out_waits(edge: float, interval: float, waits: int) -> None:
    one = Candidate("cloud", codec="jpeg", edge=edge, size=27_000, answer=300)
    found = predict(one, Link(1e9, 0.08, interval=interval))
    assert found.slow_start == pytest.approx(0.08 * waits, rel=0.01)


def test_losses_bind_long_messages_to_the_rate_of_mathis() -> None:
    rate = model.mathis_rate(0.1, 0.01)
    assert rate == pytest.approx(8 * 1448 / 0.1 * 1.2247 / 0.1, rel=1e-4)
    assert model.mathis_rate(0.1, 0) == model.mathis_rate(0, 0.1) == inf
    short, long = 1448.0, 1448.0 * 1000
    assert model.transmission(short, 1e9, 0.1, 0.01) == pytest.approx(8 * 1500 / 1e9 / 0.99)
    assert model.transmission(long, 1e9, 0.1, 0.01) == pytest.approx(8 * 1500 * 990 / rate / 0.99, rel=1e-3)
    assert model.retransmission(short, 0.1, 0.01) == pytest.approx(0.1 * 0.01 / 0.99)


def test_the_queue_of_a_busy_worker() -> None:
    assert model.queue_wait(0.01, 0) == 0
    assert model.queue_wait(0.01, 0.9) == pytest.approx(0.045)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bandwidth": 0.0}, "bandwidth 0 Mbit/s cannot be"),
        ({"bandwidth": -1e6}, "bandwidth -1 Mbit/s cannot be"),
        ({"bandwidth": nan}, "bandwidth nan"),
        ({"bandwidth": inf}, "bandwidth inf"),
        ({"downlink": 0.0}, "downlink 0 Mbit/s"),
        ({"rtt": -0.001}, "rtt -1 ms"),
        ({"rtt": nan}, "rtt nan"),
        ({"loss": 1.0}, "loss 1 cannot be"),
        ({"cloud_load": 1.0}, "cloud load 1 cannot be"),
        ({"overhead": -1.0}, "overhead -1000 ms"),
        ({"radio": -1.0}, "radio energy"),
    ],
)
def test_links_that_cannot_be(values: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(Link(1e6, 0.01), **values)


@pytest.mark.parametrize(
    ("agreement", "kl", "message"),
    [
        (1.5, None, "min agreement 1.5"),
        (nan, None, "min agreement nan"),
        (None, -1.0, "max KL -1"),
        (0, nan, "max KL nan"),
    ],
)
def test_constraints_that_cannot_be(agreement: float | None, kl: float | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Constraints(agreement, kl)


def test_where_nothing_will_do_the_message_says_how_close_the_best_comes() -> None:
    some = [
        Candidate("split", "c", "x", agreement=0.9, kl=0.02),
        Candidate("split", "d", "y", agreement=0.95, kl=0.05),
        Candidate("cloud", codec="png"),
    ]
    link = Link(1e6, 0.01)
    with pytest.raises(
        UsageError, match=r"none of the 3 candidates has agreement of at least 0\.97 \(the best is 0\.95, d y\)"
    ):
        plan(some, link, Constraints(min_agreement=0.97))
    with pytest.raises(UsageError, match=r"KL of at most 0\.01 \(the best is 0\.02, c x\)"):
        plan(some, link, Constraints(max_kl=0.01))
    with pytest.raises(UsageError, match=r"none of the 1 candidates .* \(nobody measured it\)"):
        plan(some, link, Constraints(max_kl=1, modes=("cloud",)))
    with pytest.raises(UsageError, match="nothing to choose from in the modes edge"):
        plan(some, link, Constraints(modes=("edge",)))
    with pytest.raises(UsageError, match="holds no energy"):
        plan(some, link, objective="energy")


def test_a_bound_is_kept_by_what_equals_it() -> None:
    one = Candidate("split", "c", "x", agreement=0.97, kl=0.02)
    assert plan([one], Link(1e6, 0.01), Constraints(min_agreement=0.97, max_kl=0.02)).choice.candidate is one


@pytest.mark.parametrize(
    ("objective", "chosen"), [("latency", "fast"), ("bytes", "small"), ("energy", "frugal"), ("throughput", "even")]
)
def test_each_objective_has_its_choice(objective: Objective, chosen: str) -> None:
    some = [
        Candidate("split", "fast", edge=0.02, size=20_000, cloud=0.01, energy=2),
        Candidate("split", "small", edge=0.9, size=100, cloud=0.01, energy=3),
        Candidate("split", "frugal", edge=0.9, size=20_000, cloud=0.01, energy=1),
        Candidate("split", "even", edge=0.1, size=10_000, cloud=0.1, energy=2),
    ]
    assert plan(some, Link(1e6, 0.01), objective=objective).choice.candidate.cut == chosen


def test_of_equal_candidates_the_faster_then_the_first_is_chosen() -> None:
    some = [Candidate("split", name, "x", edge=edge, size=100) for name, edge in (("a", 0.2), ("b", 0.1), ("c", 0.1))]
    assert plan(some, Link(1e6, 0.01), objective="bytes").choice.candidate.cut == "b"
    assert plan(some[1:], Link(1e6, 0.01)).choice.candidate.cut == "b"


def test_what_a_device_imports_in_its_loop_is_light() -> None:
    absent = ["torch", "matplotlib", "grpc", "onnxruntime", "numpy", "pydantic", "PIL", "rich"]
    code = f"import splitnet.plan, sys; print([name for name in {absent} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    code = code.replace("splitnet.plan,", "splitnet.plan.profile, splitnet.plan.profiled,").replace("'pydantic', ", "")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
