"""Which server is asked, and what becomes of one that fails. Transports are scripted; real ones are in test_daemon."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from splitnet.edge.grpc_aio_transport import SILENT
from splitnet.edge.link import servers as servers_module
from splitnet.edge.link.meter import Exchange
from splitnet.edge.link.server import LATE_IN_A_ROW, Pauses, Server
from splitnet.edge.link.servers import Servers
from splitnet.errors import (
    FingerprintError,
    InternalError,
    InvalidRequestError,
    LateError,
    OverloadedError,
    ServiceError,
    UnavailableError,
)
from splitnet.wire.exchange import InferenceRequest, InferenceResponse, ModelInfo, Timing

REQUEST = InferenceRequest("tiny", "f" * 64, "r1", b"frame", request_id=bytes(16))


@dataclass
class Scripted:
    """A transport that fails as `failure` says; counts what it was asked."""

    failure: ServiceError | None = None
    probe_failure: ServiceError | None = None
    asked: int = 0
    opened: int = 0
    closed: int = 0
    address: str = "scripted"
    hold: asyncio.Event | None = None
    seconds: float = 0.01
    payloads: list[int] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def connect(self) -> Scripted:
        self.opened += 1
        return self

    async def infer(self, request: InferenceRequest, timeout: float | None = None) -> InferenceResponse:
        self.asked += 1
        if self.hold is not None:
            await self.hold.wait()
        if self.failure is not None:
            raise self.failure
        return InferenceResponse({}, Timing(total=0.0))

    async def probe(self, timeout: float, payload: int = 0) -> float:
        if self.probe_failure is not None:
            raise self.probe_failure
        self.payloads.append(payload)
        return self.seconds

    async def describe(self, name: str, version: str = "", timeout: float | None = None) -> ModelInfo:
        raise AssertionError("the check is the test's own")

    async def aclose(self) -> None:
        self.closed += 1


async def up(*scripts: Scripted) -> Servers:
    """Servers that were all reached."""
    servers = [Server(f"s{number}:1", one.connect, Pauses(0.001, 0.002)) for number, one in enumerate(scripts)]
    for server in servers:
        await server.probe(1.0)
        server.reached()
    return Servers(servers, timeout=1.0)


async def ask(servers: Servers, timeout: float = 1.0) -> str:
    return (await servers.infer(REQUEST, timeout, 100.0))[1].address


async def test_the_first_that_is_up_is_asked() -> None:
    first, second = Scripted(), Scripted()
    servers = await up(first, second)
    assert await ask(servers) == "s0:1"
    assert (first.asked, second.asked) == (1, 0)


@pytest.mark.parametrize("failure", [UnavailableError("gone"), InternalError("rubbish"), FingerprintError("other")])
async def test_one_that_fails_is_down_and_the_next_one_answers(failure: ServiceError) -> None:
    first, second = Scripted(failure), Scripted()
    servers = await up(first, second)
    assert await ask(servers) == "s1:1"
    assert servers.servers[0].state == "down"
    assert str(failure) in servers.servers[0].error
    await ask(servers)
    assert (first.asked, second.asked, first.closed) == (1, 2, 1)


async def test_a_busy_one_is_asked_again_after_its_hint() -> None:
    first, second = Scripted(OverloadedError("full", retry_after=0.0)), Scripted()
    servers = await up(first, second)
    assert await ask(servers) == "s1:1"
    assert [one.state for one in servers.servers] == ["busy", "up"]
    first.failure = None
    while servers.servers[0].pause:
        await asyncio.sleep(0.001)
    assert await ask(servers) == "s0:1"
    assert [one.state for one in servers.servers] == ["up", "up"]


async def test_a_request_that_is_wrong_is_wrong_everywhere() -> None:
    first, second = Scripted(InvalidRequestError("malformed")), Scripted()
    servers = await up(first, second)
    with pytest.raises(InvalidRequestError, match="malformed"):
        await ask(servers)
    assert second.asked == 0
    assert servers.servers[0].state == "up"


def silent() -> LateError:
    error = LateError("no answer")
    error.reason = SILENT
    return error


async def test_two_silences_in_a_row_end_the_connection() -> None:
    script = Scripted(silent())
    servers = await up(script)
    for number in range(LATE_IN_A_ROW):
        assert servers.servers[0].state == "up", number
        with pytest.raises(LateError):
            await ask(servers, 5.0)
    assert (servers.servers[0].state, script.closed) == ("down", 1)


@pytest.mark.parametrize(("failure", "timeout"), [(LateError("the server says so"), 1.0), (silent(), 0.05)])
async def test_a_server_that_says_that_it_is_late_and_short_silences_end_nothing(
    failure: LateError, timeout: float
) -> None:
    script = Scripted(failure)
    servers = await up(script)
    for _ in range(5):
        with pytest.raises(LateError):
            await ask(servers, timeout)
    assert (servers.servers[0].state, script.closed) == ("up", 0)


async def test_an_answer_between_late_ones_shows_that_the_connection_lives() -> None:
    script = Scripted()
    servers = await up(script)
    for _ in range(3):
        script.failure = silent()
        with pytest.raises(LateError):
            await ask(servers)
        script.failure = None
        await ask(servers)
    assert (servers.servers[0].state, script.closed) == ("up", 0)


async def test_requests_that_fail_together_are_one_failure() -> None:
    script = Scripted(UnavailableError("gone"))
    servers = await up(script)
    script.hold = asyncio.Event()
    tasks = [asyncio.create_task(ask(servers)) for _ in range(5)]
    while script.asked < 5:
        await asyncio.sleep(0)
    script.hold.set()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(one, UnavailableError) for one in results)
    assert (script.closed, servers.servers[0]._failures) == (1, 1)


async def test_with_none_up_a_request_fails_at_once() -> None:
    script = Scripted(UnavailableError("gone"))
    servers = await up(script)
    with pytest.raises(UnavailableError, match="gone"):
        await ask(servers)
    with pytest.raises(UnavailableError, match=r"no server can be asked \(s0:1: gone\)"):
        await ask(servers)
    assert script.asked == 1
    with pytest.raises(UnavailableError, match="no server is configured"):
        await Servers([]).infer(REQUEST, 1.0, 0.0)


async def wait_for(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


async def test_a_server_that_comes_back_is_found_without_a_request() -> None:
    script = Scripted(probe_failure=UnavailableError("not yet"))
    changes = []
    server = Server("s:1", script.connect, Pauses(0.001, 0.002))
    servers = Servers([server], changed=lambda one: changes.append(one.state), timeout=1.0)
    watching = asyncio.create_task(servers.watch())
    try:
        await wait_for(lambda: script.opened > 2)
        assert server.state == "down"
        script.probe_failure = None
        await wait_for(lambda: servers.current is server)
        assert server.meter.rtt == 0.01
        await wait_for(lambda: changes == ["down", "up"])
    finally:
        watching.cancel()


async def test_a_server_with_another_bundle_is_not_used_until_that_changes() -> None:
    script, checks = Scripted(), 0

    async def check(_: Server) -> None:
        nonlocal checks
        checks += 1
        if checks < 3:
            raise FingerprintError("another bundle")

    server = Server("s:1", script.connect, Pauses(0.001, 0.002))
    servers = Servers([server], check, timeout=1.0)
    watching = asyncio.create_task(servers.watch())
    try:
        await wait_for(lambda: checks >= 3 and server.state == "up")
        assert await ask(servers) == "s:1"
    finally:
        watching.cancel()


async def test_a_frame_of_an_old_bundle_does_not_take_the_server_down() -> None:
    servers = await up(Scripted(FingerprintError("other bundle")))
    with pytest.raises(FingerprintError):
        await servers.infer(REQUEST, 1.0, 0.0, live=False)
    assert servers.servers[0].state == "up"


async def test_a_frame_over_the_servers_limit_is_not_sent_and_no_sign_of_load() -> None:
    script = Scripted()
    servers = await up(script)
    servers.servers[0].most_bytes = 3
    with pytest.raises(OverloadedError, match=r"5 bytes is over the limit of s0:1, 3; use a smaller codec"):
        await ask(servers)
    assert (script.asked, servers.servers[0].state) == (0, "up")


async def test_a_probe_alone_makes_no_server_up_and_none_that_is_busy_free() -> None:
    script = Scripted(OverloadedError("full", retry_after=60.0))
    server = Server("s:1", script.connect)
    await server.probe(1.0)
    assert server.state == "new"
    server.reached()
    servers = Servers([server], timeout=1.0)
    with pytest.raises(OverloadedError):
        await ask(servers)
    await server.probe(1.0)
    assert [one.state for one in servers.servers] == ["busy"]
    assert server.pause > 50


async def test_before_the_first_contact_a_request_waits_a_moment_and_there_is_hope() -> None:
    script = Scripted()
    server = Server("s:1", script.connect)
    servers = Servers([server], timeout=1.0)
    assert servers.hopeful
    assert servers.current is None
    asking = asyncio.create_task(ask(servers))
    await asyncio.sleep(0.01)
    assert not asking.done()
    server.reached()
    assert await asking == "s:1"
    assert not Servers([]).hopeful


def test_pauses_grow_to_the_longest_and_are_spread() -> None:
    low, high = Pauses(0.2, 10.0, lambda: 0.0), Pauses(0.2, 10.0, lambda: 1.0)
    assert [low.after(number) for number in (1, 2, 3)] == pytest.approx([0.1, 0.2, 0.4])
    assert [high.after(number) for number in (1, 2, 3)] == pytest.approx([0.2, 0.4, 0.8])
    assert high.after(1000) == 10.0


@pytest.mark.parametrize("exploring", [True, False])
async def test_a_link_over_which_nothing_goes_is_measured_while_a_faster_one_would_matter(
    exploring: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(servers_module, "QUIET", 0.02)
    monkeypatch.setattr(servers_module, "SOON", 0.005)
    script = Scripted()
    servers = await up(script)
    servers.exploring = exploring
    watching = asyncio.create_task(servers.watch())
    try:
        # Long before PROBE_SECONDS are over.
        async with asyncio.timeout(2.0):
            while len([one for one in script.payloads if one or not exploring]) < 4:
                await asyncio.sleep(0.005)
                servers.servers[0].meter.surprised = not exploring
    finally:
        watching.cancel()
    assert exploring or not any(script.payloads)


async def test_traffic_is_a_measurement_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers_module, "QUIET", 30.0)
    monkeypatch.setattr(servers_module, "SOON", 0.005)
    script = Scripted(seconds=0.1)
    servers = await up(script)
    servers.exploring = True
    # An exchange that says how fast the link is, not only that it is fast.
    servers.servers[0].meter.exchanged(Exchange(5000, 100, time.monotonic() - 1, time.monotonic(), 0.0))
    watching = asyncio.create_task(servers.watch())
    while len(script.payloads) < 3:
        await asyncio.sleep(0.005)
        servers.servers[0].meter.surprised = True
    watching.cancel()
    assert not any(script.payloads)
