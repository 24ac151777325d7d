"""Emulated links: settings, the losses a seed decides, changes while they run, and that nothing is left behind."""

from __future__ import annotations

import contextlib
import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from select import select
from typing import Any

import pytest

from benchmarks.link import GilbertElliott, Link, LinkSettings, lacking, namespaces
from benchmarks.link.line import MOST_BYTES, Line
from benchmarks.link.loss import Direction, losses
from splitnet.errors import UsageError

ROOT = Path(__file__).resolve().parents[2]
WAYS: tuple[Direction, Direction] = ("up", "down")
WHY_NOT = lacking()
needs_links = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


@pytest.mark.parametrize(
    "values",
    [
        {"rate_up": 0},
        {"rate_down": -1e6},
        {"rate_up": math.nan},
        {"rate_up": 1e12},
        {"delay": -0.1},
        {"delay": math.inf},
        {"delay": 0.01, "jitter": 0.02},
        {"jitter": math.nan},
        {"loss": 1.5},
        {"loss": math.nan},
        {"queue": -1},
    ],
)
def test_settings_that_cannot_be_are_refused_in_one_line(values: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as caught:
        LinkSettings(**values)
    assert "\n" not in str(caught.value)
    assert any(name in str(caught.value) for name in values)


@pytest.mark.parametrize(
    "make",
    [
        lambda: GilbertElliott(enter=2.0),
        lambda: GilbertElliott(bad=math.nan),
        lambda: GilbertElliott.bursts(0.1, 0.5),
        lambda: GilbertElliott.bursts(0.9, 2.0),
        lambda: Link(seed=-1),
    ],
)
def test_channels_and_seeds_that_cannot_be_are_refused(make: Any) -> None:
    with pytest.raises(UsageError):
        make()


@pytest.mark.parametrize(
    ("channel", "share", "length"),
    [
        (GilbertElliott(good=0.2), 0.2, 1.25),
        (GilbertElliott.bursts(0.2, 5.0), 0.2, 5.0),
        (GilbertElliott(enter=0.1, leave=0.3, good=0.01, bad=0.5), 0.1325, None),
    ],
)
def test_a_channel_loses_its_share_in_bursts_of_its_length(
    channel: GilbertElliott, share: float, length: float | None
) -> None:
    drawn = list(islice(losses(channel, 3, "up"), 100_000))
    assert channel.share == pytest.approx(share)
    assert sum(drawn) / len(drawn) == pytest.approx(share, abs=0.01)
    if length is not None:
        bursts = sum(lost and not before for before, lost in zip([False, *drawn], drawn, strict=False))
        assert sum(drawn) / bursts == pytest.approx(length, rel=0.05)


def test_losses_depend_on_seed_and_direction() -> None:
    channel = GilbertElliott(good=0.5)
    drawn = {tuple(islice(losses(channel, seed, way), 64)) for seed in range(5) for way in WAYS}
    assert len(drawn) == 10
    assert list(islice(losses(channel, 1, "up"), 64)) == list(islice(losses(channel, 1, "up"), 64))


def _line(**settings: Any) -> Line:
    line = Line(1, "up")
    line.change(LinkSettings(**settings), 0.0)
    return line


def _times(line: Line, until: float = 1e3) -> list[tuple[float, bytes]]:
    """When packets come out, in seconds."""
    came: list[tuple[float, bytes]] = []
    while (now := line.next()) <= until:
        came += [(now, packet) for packet in line.due(now)]
    return came


def test_packets_take_their_time_on_the_line_one_after_the_other() -> None:
    line = _line(rate_up=8000.0, delay=0.5)
    for number, size in enumerate((1000, 500, 100)):
        line.take(bytes([number]) * size, 0.0)
    assert [when for when, _ in _times(line)] == pytest.approx([1.5, 2.0, 2.1])
    line.take(b"x" * 10, 5.0)
    assert [when for when, _ in _times(line)] == pytest.approx([5.51])


def test_waking_late_does_not_lower_the_rate() -> None:
    line = _line(rate_up=8000.0)
    for _ in range(3):
        line.take(bytes(1000), 0.0)
    assert len(line.due(1.9)) == 1
    assert line.next() == pytest.approx(2.0)
    assert len(line.due(3.0)) == 2


def test_a_new_rate_holds_for_the_rest_of_the_packet_being_sent() -> None:
    line = _line(rate_up=8000.0)
    line.take(bytes(1000), 0.0)
    line.take(bytes(1000), 0.0)
    line.change(LinkSettings(rate_up=80_000.0), 0.5)
    assert [when for when, _ in _times(line)] == pytest.approx([0.55, 0.65])
    line.take(bytes(1000), 1.0)
    line.change(LinkSettings(), 1.01)
    assert [when for when, _ in _times(line)] == pytest.approx([1.01])


def test_the_queue_is_seconds_of_traffic_but_never_less_than_a_first_flight() -> None:
    for rate, most in ((1e4, 24), (1e6, 25), (8e6, 200)):
        line = _line(rate_up=rate, queue=0.2)
        for _ in range(300):
            line.take(bytes(1000), 0.0)
        assert line.counters.overflowed == 300 - most
        assert len(_times(line)) == most


def test_a_packet_that_is_lost_has_had_its_time_on_the_line() -> None:
    line = _line(rate_up=8000.0, loss=1.0)
    line.take(bytes(1000), 0.0)
    line.change(LinkSettings(rate_up=8000.0), 0.1)
    line.take(bytes(1000), 0.1)
    assert [when for when, _ in _times(line)] == pytest.approx([2.0])
    assert line.counters.lost == 1


def test_jitter_stays_within_its_bounds_and_keeps_the_order() -> None:
    line = _line(delay=0.04, jitter=0.01)
    for number in range(500):
        line.take(number.to_bytes(2, "big"), number * 0.005)
    came = _times(line)
    delays = [when - int.from_bytes(packet, "big") * 0.005 for when, packet in came]
    assert [int.from_bytes(packet, "big") for _, packet in came] == list(range(500))
    assert min(delays) >= 0.03
    assert max(delays) <= 0.05


def test_an_outage_cuts_what_is_on_its_way() -> None:
    line = _line(delay=1.0)
    line.take(b"flying", 0.0)
    line.change(LinkSettings(delay=1.0, outage=True), 0.5)
    line.take(b"refused", 0.6)
    line.change(LinkSettings(delay=1.0), 2.0)
    line.take(b"after", 2.0)
    assert _times(line) == [(3.0, b"after")]
    assert line.counters.cut == 2


def test_what_is_held_is_bounded() -> None:
    line = _line(delay=60.0)
    for _ in range(MOST_BYTES // 60_000 + 10):
        line.take(bytes(60_000), 0.0)
    assert line.counters.overflowed >= 9


def test_settings_survive_the_way_to_the_shuttle() -> None:
    for settings in (LinkSettings(), LinkSettings(1e6, 2e6, 0.1, 0.05, GilbertElliott(0.1, 0.2, 0.3, 0.4), True, 1.0)):
        assert LinkSettings.from_json(settings.to_json()) == settings


@contextlib.contextmanager
def _datagrams(link: Link) -> Iterator[tuple[socket.socket, socket.socket]]:
    with link.socket("client", socket.SOCK_DGRAM) as client, link.socket("server", socket.SOCK_DGRAM) as server:
        server.bind((link.server.address, 5000))
        server.settimeout(20)
        client.bind((link.client.address, 5000))
        client.settimeout(20)
        client.connect(server.getsockname())
        yield client, server


def _until(condition: Any) -> None:
    """Wait for something that happens soon, however slow the machine is."""
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@needs_links
@pytest.mark.parametrize("loss", [0.3, GilbertElliott.bursts(0.3, 4.0)])
@pytest.mark.parametrize("rate", [None, 50e6])
def test_a_link_loses_the_packets_that_its_seed_decides(loss: float | GilbertElliott, rate: float | None) -> None:
    settings = LinkSettings(rate_up=rate, delay=0.002, jitter=0.002, loss=loss)
    with Link(settings, seed=7) as link, _datagrams(link) as (client, server):
        for number in range(300):
            client.send(number.to_bytes(2, "big"))
        link.change(loss=0.0)
        client.send(b"end")
        came = list(iter(lambda: server.recv(10), b"end"))
    decided = islice(losses(settings.channel, 7, "up"), 300)
    assert [int.from_bytes(each, "big") for each in came] == [n for n, lost in enumerate(decided) if not lost]


@needs_links
def test_jitter_may_change_the_order_where_asked() -> None:
    with (
        Link(LinkSettings(delay=0.05, jitter=0.05, reorder=True)) as link,
        _datagrams(link) as (client, server),
    ):
        for number in range(200):
            client.send(bytes([number]))
        came = [server.recv(1)[0] for _ in range(200)]
    assert sorted(came) == list(range(200))
    assert came != list(range(200))


@needs_links
def test_nothing_passes_an_outage_and_all_is_well_after_it() -> None:
    with Link() as link, _datagrams(link) as (client, server):
        client.send(b"before")
        assert server.recv(10) == b"before"
        link.change(outage=True)
        client.send(b"lost")
        server.sendto(b"lost", client.getsockname())
        _until(lambda: [each.cut for each in link.counters()] == [1, 1])
        link.change(outage=False)
        client.send(b"after")
        assert server.recv(10) == b"after"


@needs_links
def test_a_replay_follows_its_trace_and_a_change_ends_it() -> None:
    up, down = LinkSettings(), LinkSettings(outage=True)
    with Link() as link, _datagrams(link) as (client, server):
        link.replay([(0.0, up), (0.1, down), (3600.0, up)])
        _until(lambda: client.send(b"?") and link.counters()[0].cut)
        link.replay([(0.0, down), (0.1, up), (3600.0, down)])
        _until(lambda: client.send(b"?") and _waits(server))
        link.replay([(0.1, down)])
        link.change(delay=0.001)
        time.sleep(0.2)
        client.send(b"last")
        assert b"last" in iter(lambda: server.recv(10), b"")


def _waits(server: socket.socket) -> bool:
    return bool(select([server], [], [], 0)[0])


@needs_links
def test_a_queue_is_bounded() -> None:
    with Link(LinkSettings(rate_up=1e4, queue=0.0)) as link, _datagrams(link) as (client, _):
        for _ in range(100):
            client.send(bytes(1000))
        # 24,000 bytes of 1,028 wait; the rest of what was sent found no room.
        _until(lambda: link.counters()[0].overflowed >= 70)
        link.change(rate_up=None)
        _until(lambda: sum((up := link.counters()[0], up.passed + up.overflowed)[1:]) == 100)


@needs_links
def test_processes_run_inside_and_end_with_the_link() -> None:
    with Link() as link:
        shown = link.popen("server", ["ip", "-br", "addr"], stdout=subprocess.PIPE, text=True)
        assert link.server.address in shown.communicate(timeout=20)[0]
        process = link.popen("client", ["sleep", "600"])
        # One that its starter has forgotten is found by its namespace.
        link.popen("client", ["sh", "-c", "trap '' TERM; sleep 600 & exit"]).wait(20)
    assert process.returncode is not None
    _until(lambda: not namespaces.names_of(os.getpid()))


@needs_links
def test_links_exist_side_by_side_and_leave_nothing_even_after_an_exception() -> None:
    def fail() -> None:
        with Link() as first, Link() as second:
            assert len({first.client, first.server, second.client, second.server}) == 4
            assert len(namespaces.names_of(os.getpid())) == 4
            raise LookupError

    with pytest.raises(LookupError):
        fail()
    assert namespaces.names_of(os.getpid()) == []


@needs_links
def test_a_closed_link_says_so() -> None:
    with Link() as link:
        link.close()
        with pytest.raises(UsageError, match="closed"):
            link.change(loss=0.1)


_HOLD = """
import signal, sys, time
# Of a test in the background Ctrl-C is ignored, and so it would be here.
signal.signal(signal.SIGINT, signal.default_int_handler)
from benchmarks.link import Link
with Link() as link:
    link.popen("client", ["sleep", "600"])
    print("ready", flush=True)
    time.sleep(600)
"""


@needs_links
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_killed_owner_leaves_nothing(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        assert len(namespaces.names_of(owner.pid)) == 2
        owner.send_signal(number)
        owner.wait(30)
        _until(lambda: not namespaces.names_of(owner.pid))


@needs_links
def test_what_a_dead_process_left_is_swept_and_what_a_live_one_has_is_not() -> None:
    # No process has so high a number.
    dead = "splitnet-99999999-0-0-client"
    namespaces.ip(f"netns add {dead}")
    with Link() as link, _datagrams(link) as (client, server):
        assert dead not in namespaces.names_of(99999999)
        assert namespaces.sweep() == []
        client.send(b"alive")
        assert server.recv(10) == b"alive"


@needs_links
def test_what_a_namespace_cannot_be_is_one_clear_line_and_leaves_nothing() -> None:
    with pytest.raises(UsageError, match="tcp_congestion_control cannot be"), Link(congestion="nonsense"):
        pass
    assert namespaces.names_of(os.getpid()) == []
