"""The waiting line: order, fairness, bounds."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from splitnet.cloud.batching import FairQueue


@dataclass(eq=False)
class Item:
    client: str
    group: str = "g"
    priority: int = 0
    size: int = 1


def _drain(queue: FairQueue[Item], most: int = 1) -> list[list[Item]]:
    batches = []
    while batch := queue.pop(most):
        batches.append(batch)
    return batches


def _fill(queue: FairQueue[Item], *items: Item) -> list[Item]:
    for item in items:
        assert queue.push(item) == []
    return list(items)


def test_one_client_is_served_in_its_order() -> None:
    queue: FairQueue[Item] = FairQueue(100, 1000)
    items = _fill(queue, *(Item("a") for _ in range(5)))
    assert [batch[0] for batch in _drain(queue)] == items


def test_a_client_with_one_request_does_not_wait_for_one_with_a_thousand() -> None:
    queue: FairQueue[Item] = FairQueue(2000, 10_000)
    _fill(queue, *(Item("flood") for _ in range(1000)))
    for _ in range(10):
        queue.pop(1)
    late = Item("quiet")
    _fill(queue, late)
    assert late in queue.pop(1) + queue.pop(1)


def test_clients_take_turns_however_much_they_send() -> None:
    queue: FairQueue[Item] = FairQueue(1000, 10_000)
    _fill(queue, *(Item(client) for client, count in (("a", 90), ("b", 30), ("c", 30)) for _ in range(count)))
    first = Counter(batch[0].client for batch in _drain(queue)[:90])
    assert first == {"a": 30, "b": 30, "c": 30}


def test_a_higher_priority_goes_first() -> None:
    queue: FairQueue[Item] = FairQueue(100, 1000)
    _fill(queue, *(Item("a", priority=level) for level in (0, 3, 1, 2, 3)))
    assert [batch[0].priority for batch in _drain(queue)] == [3, 3, 2, 1, 0]


def test_a_batch_is_of_one_group_and_the_first_in_line_chooses_which() -> None:
    queue: FairQueue[Item] = FairQueue(100, 1000)
    _fill(queue, *(Item(str(number), group="xy"[number % 2]) for number in range(6)))
    assert [[item.group for item in batch] for batch in _drain(queue, 8)] == [["x"] * 3, ["y"] * 3]


def test_a_batch_is_never_larger_than_asked_for() -> None:
    queue: FairQueue[Item] = FairQueue(100, 1000)
    _fill(queue, *(Item("a") for _ in range(10)))
    assert [len(batch) for batch in _drain(queue, 4)] == [4, 4, 2]


def test_a_full_line_makes_room_for_who_waits_with_less() -> None:
    queue: FairQueue[Item] = FairQueue(4, 1000)
    flood = _fill(queue, *(Item("flood") for _ in range(4)))
    quiet = Item("quiet")
    assert queue.push(quiet) == [flood[-1]]
    assert queue.push(Item("flood")) is None
    assert len(queue) == 4
    assert quiet in [batch[0] for batch in _drain(queue)]


def test_a_full_line_of_equals_refuses_the_next() -> None:
    queue: FairQueue[Item] = FairQueue(4, 1000)
    _fill(queue, *(Item(client) for client in "abcd"))
    assert queue.push(Item("e")) is None
    assert len(queue) == 4


def test_bytes_are_bounded_too_and_large_requests_give_way() -> None:
    queue: FairQueue[Item] = FairQueue(100, 100)
    large = _fill(queue, Item("large", size=50), Item("large", size=50))
    assert queue.push(Item("small", size=10)) == [large[1]]
    assert queue.size == 60
    assert queue.push(Item("huge", size=101)) is None
    assert queue.size == 60


def test_spare_places_are_for_workers_about_to_take_one() -> None:
    queue: FairQueue[Item] = FairQueue(0, 1000)
    assert queue.push(Item("a")) is None
    assert queue.push(Item("a"), spare=1) == []


def test_a_removed_request_frees_its_place_and_is_never_popped() -> None:
    queue: FairQueue[Item] = FairQueue(2, 1000)
    first, second = _fill(queue, Item("a"), Item("a"))
    assert queue.remove(first)
    assert not queue.remove(first)
    assert (len(queue), queue.size) == (1, 1)
    third = Item("a")
    _fill(queue, third)
    assert [batch[0] for batch in _drain(queue)] == [second, third]


def test_clients_that_left_are_forgotten() -> None:
    queue: FairQueue[Item] = FairQueue(10, 1000)
    anchor = Item("anchor", priority=0)
    _fill(queue, anchor)
    for number in range(1000):
        _fill(queue, Item(f"client-{number}", priority=1))
        queue.pop(1)
    assert queue.clients < 200
    assert _drain(queue) == [[anchor]]
    assert queue.clients == 0


_OPERATIONS = st.lists(
    st.tuples(st.sampled_from(("push", "pop", "remove")), st.integers(0, 4), st.integers(0, 3), st.integers(1, 40)),
    max_size=120,
)


@given(_OPERATIONS)
def test_whatever_happens_the_bounds_hold_and_nothing_is_lost_or_doubled(
    operations: list[tuple[str, int, int, int]],
) -> None:
    queue: FairQueue[Item] = FairQueue(12, 200)
    inside: dict[Item, None] = {}
    for what, client, level, size in operations:
        if what == "push":
            item = Item(f"c{client}", group=f"g{level % 2}", priority=level, size=size)
            evicted = queue.push(item)
            if evicted is not None:
                inside[item] = None
                for one in evicted:
                    del inside[one]
        elif what == "pop":
            batch = queue.pop(size % 5 + 1)
            assert len({item.group for item in batch}) <= 1
            if batch:
                assert batch[0].priority == max(item.priority for item in inside)
            for one in batch:
                del inside[one]
        elif inside:
            one = list(inside)[client % len(inside)]
            assert queue.remove(one)
            del inside[one]
        assert len(queue) == len(inside) <= 12
        assert queue.size == sum(item.size for item in inside) <= 200
        assert [queue.held(f"c{number}") for number in range(5)] == [
            sum(item.client == f"c{number}" for item in inside) for number in range(5)
        ]
    assert sorted(map(id, (item for batch in _drain(queue, 3) for item in batch))) == sorted(map(id, inside))


@pytest.mark.parametrize("most", [1, 3, 8])
def test_dead_entries_do_not_pile_up(most: int) -> None:
    queue: FairQueue[Item] = FairQueue(1000, 10_000)
    for _ in range(50):
        items = _fill(queue, *(Item("a") for _ in range(100)))
        for item in items:
            queue.remove(item)
        _fill(queue, Item("b"))
        assert queue.pop(most)
    assert sum(len(heap) for heap in queue._heaps.values()) < 400
