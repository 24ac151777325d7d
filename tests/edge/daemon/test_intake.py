"""Who is next, and who is dropped."""

from __future__ import annotations

import asyncio

from splitnet.edge.daemon.intake import ROOM, Intake, Lane
from splitnet.edge.daemon.item import Item, Settled
from splitnet.edge.observe.tally import EdgeTally


class Made:
    """Items, and how they were settled."""

    def __init__(self) -> None:
        self.settled: dict[str, str] = {}

    def item(self, name: str, source: str = "a") -> Item:
        def settle(settled: Settled) -> None:
            assert name not in self.settled, "settled twice"
            self.settled[name] = settled.how

        return Item(source, name, b"", settle=settle)


def intake(tally: EdgeTally | None = None, **lanes: Lane) -> Intake:
    return Intake(lanes, tally or EdgeTally())


def latest(**more: object) -> Lane:
    return Lane("latest", **{"priority": 1, "most": 2} | more)  # type: ignore[arg-type]  # fields as they come


def every(**more: object) -> Lane:
    return Lane("all", **{"priority": 1, "most": 2} | more)  # type: ignore[arg-type]  # fields as they come


async def test_a_newer_input_takes_the_place_of_one_that_waits() -> None:
    made, tally = Made(), EdgeTally()
    tally.configure(sources=["a"])
    line = intake(tally, a=latest())
    for name in ("1", "2", "3"):
        await line.offer(made.item(name))
    assert (await line.next()).name == "3"
    assert made.settled == {"1": "dropped", "2": "dropped"}
    assert tally.sources["a"].dropped == {"newer": 2}
    assert tally.sources["a"].captured == 3


async def test_a_source_that_promises_every_input_waits_itself() -> None:
    made = Made()
    line = intake(a=every())
    for number in range(ROOM):
        await line.offer(made.item(str(number)))
    blocked = asyncio.create_task(line.offer(made.item("more")))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not blocked.done()
    assert (await line.next()).name == "0"
    await blocked
    assert not made.settled


async def test_no_more_than_a_lanes_share_is_under_way() -> None:
    made = Made()
    line = intake(a=every(most=1))
    await line.offer(made.item("1"))
    await line.offer(made.item("2"))
    first = await line.next()
    waiting = asyncio.create_task(line.next())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    line.leave(first)
    assert (await waiting).name == "2"


async def test_higher_priority_first_and_equals_in_turns() -> None:
    made = Made()
    line = intake(a=every(most=9), b=every(most=9), c=every(priority=3, most=9))
    for source in "abc":
        for number in range(ROOM):
            await line.offer(made.item(f"{source}{number}", source))
    order = [(await line.next()).name for _ in range(3 * ROOM)]
    assert order == ["c0", "c1", "a0", "b0", "a1", "b1"]


async def test_inputs_that_come_too_fast_are_dropped_by_the_rate() -> None:
    now = 0.0
    made, tally = Made(), EdgeTally()
    tally.configure(sources=["a"])
    line = Intake({"a": latest(rate=10.0)}, tally, clock=lambda: now)
    taken = []
    for number in range(60):
        now = number / 30
        await line.offer(made.item(str(number)))
        if line.lanes["a"].waiting:
            taken.append((await line.next()).name)
            line.lanes["a"].under_way = 0
    assert len(taken) == 20
    assert tally.sources["a"].dropped == {"rate": 40}


async def test_an_id_is_known_from_the_offer_until_it_is_settled() -> None:
    made = Made()
    line = Intake({"a": every()}, EdgeTally(), lambda one: one == "f" * 32)
    item = made.item("1")
    assert line.idle
    assert not line.known(item.id)
    await line.offer(item)
    assert line.known(item.id)
    await line.next()
    assert line.known(item.id)
    line.leave(item)
    assert not line.idle
    line.settle(item, Settled("recorded"))
    assert line.idle
    assert not line.known(item.id)
    assert line.known("f" * 32)


async def test_what_waits_is_let_go_at_the_end() -> None:
    made = Made()
    line = intake(a=every(), b=latest())
    await line.offer(made.item("1"))
    await line.offer(made.item("2", "b"))
    line.give_up()
    assert made.settled == {"1": "dropped", "2": "dropped"}
    assert line.idle
