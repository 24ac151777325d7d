"""Which cuts are dominated."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from splitnet.plan.pareto import Cost, dominators


def test_floats_where_nothing_is_calibrated() -> None:
    costs = [Cost("a", 100, 1), Cost("b", 100, 2), Cost("c", 50, 3), Cost("d", 40, 3), Cost("e", 60, 9)]
    assert dominators(costs) == {"b": "a", "c": "d", "e": "d"}


def test_of_equal_cuts_the_last_counts_unless_another_is_calibrated() -> None:
    assert dominators([Cost("conv", 100, 1), Cost("relu", 100, 1)]) == {"conv": "relu"}
    assert dominators([Cost("conv", 100, 1, 10), Cost("relu", 100, 1)]) == {"relu": "conv"}
    assert dominators([Cost("conv", 100, 1, 10), Cost("relu", 100, 1, 10)]) == {"conv": "relu"}


def test_calibrated_cuts_by_what_was_measured() -> None:
    costs = [Cost("a", 100, 1, 40), Cost("b", 80, 2, 20), Cost("c", 60, 3, 30), Cost("d", 50, 1), Cost("e", 90, 4)]
    # By floats, `c` were the best of the calibrated and `d` better than all.
    assert dominators(costs) == {"c": "b", "e": "b"}


costs = st.lists(
    st.tuples(st.integers(1, 5), st.integers(0, 5), st.none() | st.integers(1, 5)), min_size=1, max_size=8
).map(lambda rows: [Cost(f"c{index}", size, macs, coded) for index, (size, macs, coded) in enumerate(rows)])


@given(costs)
def test_something_is_left_and_every_loser_has_a_cut_that_is_no_worse(some: list[Cost]) -> None:
    found = dominators(some)
    assert len(found) < len(some)
    named = {cost.name: cost for cost in some}
    for loser, winner in found.items():
        assert loser != winner
        assert named[winner].macs_before <= named[loser].macs_before


@given(costs)
def test_without_calibration_the_least_work_and_the_fewest_bytes_stay(some: list[Cost]) -> None:
    plain = [Cost(one.name, one.float_bytes, one.macs_before) for one in some]
    left = [one for one in plain if one.name not in dominators(plain)]
    assert min(one.macs_before for one in left) == min(one.macs_before for one in plain)
    assert min(one.float_bytes for one in left) == min(one.float_bytes for one in plain)
    assert len({(one.float_bytes, one.macs_before) for one in left}) == len(left)
