"""Who a peer is, without any transport."""

from __future__ import annotations

import ipaddress
import math
import os
import threading
from pathlib import Path

import pytest

from splitnet.cloud.access import Authenticator, Caller, ClientLimits, Clients, Peer
from splitnet.cloud.access.addresses import host_of, machine
from splitnet.cloud.access.clients_file import new_token, token_hash
from splitnet.errors import ConfigError, PermissionDeniedError, UnauthenticatedError

HERE = "ipv4:127.0.0.1:4711"
PROXY = (ipaddress.ip_network("10.0.0.0/8"),)
TOKEN = "splitnet_" + "a" * 43


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "clients.toml"
    path.write_text(
        f"""
[[token]]
name = "camera"
sha256 = "{token_hash(TOKEN)}"
models = ["lite0*"]
tasks = ["classification"]
max_priority = 1
rate = 10.0
[[token]]
name = "old"
sha256 = "{token_hash("old")}"
expires = 2026-01-01T00:00:00Z
[[certificate]]
name = "robot"
subject = "spiffe://example.org/robot"
[[certificate]]
name = "phone.example.org"
""",
        encoding="utf-8",
    )
    return path


@pytest.fixture
def access(path: Path) -> Authenticator:
    return Authenticator(
        Clients(path), proxies=PROXY, defaults=ClientLimits(concurrency=3), wall_clock=lambda: 1_800_000_000.0
    )


def _bearer(token: str, address: str = HERE) -> Peer:
    return Peer(address, (("authorization", f"Bearer {token}"),))


def _who(access: Authenticator, peer: Peer) -> Caller:
    return access.session(peer).caller()


def test_without_clients_everyone_is_their_machine() -> None:
    access = Authenticator(defaults=ClientLimits(rate=2.0))
    assert not access.required
    caller = _who(access, Peer(HERE))
    assert (caller.identity, caller.share, caller.limits.rate) == ("ipv4:127.0.0.1", HERE, 2.0)
    assert caller.permits.allows_model("anything")


def test_a_token(access: Authenticator) -> None:
    caller = _who(access, _bearer(TOKEN))
    assert (caller.identity, caller.share) == ("camera", "camera")
    assert caller.permits.max_priority == 1
    assert caller.permits.allows_model("lite0-faces")
    assert not caller.permits.allows_model("other")
    assert not caller.permits.allows_task("embedding")
    assert caller.limits == ClientLimits(10.0, None, 3)


@pytest.mark.parametrize(
    ("metadata", "says"),
    [
        ((), "no credentials"),
        ((("authorization", ""),), "is not `Bearer TOKEN`"),
        ((("authorization", TOKEN),), "is not `Bearer TOKEN`"),
        ((("authorization", f"Basic {TOKEN}"),), "is not `Bearer TOKEN`"),
        ((("authorization", f"Bearer {TOKEN}"), ("authorization", "Bearer x")), "is not `Bearer TOKEN`"),
        ((("authorization", "Bearer " + "x" * 10_000),), "is not `Bearer TOKEN`"),
        ((("authorization", f"Bearer {TOKEN[:-1]}"),), "not known here"),
        ((("authorization", f"Bearer {TOKEN}a"),), "not known here"),
        ((("authorization", f"Bearer {token_hash(TOKEN)}"),), "not known here"),
        ((("authorization", "Bearer \udcff"),), "not known here"),
        ((("authorization", "Bearer old"),), "has expired"),
        ((("x-splitnet-client", "phone.example.org"),), "no credentials"),
    ],
)
def test_who_is_nobody(access: Authenticator, metadata: tuple[tuple[str, str], ...], says: str) -> None:
    with pytest.raises(UnauthenticatedError, match=says) as caught:
        access.session(Peer(HERE, metadata))
    assert TOKEN[:20] not in str(caught.value)


def test_a_certificate_by_any_of_its_names(access: Authenticator) -> None:
    robot = Peer(HERE, certificate_names=("other.example.org", "spiffe://example.org/robot", "x"))
    assert _who(access, robot).identity == "robot"
    assert _who(access, Peer(HERE, certificate_names=("phone.example.org",))).identity == "phone.example.org"
    with pytest.raises(PermissionDeniedError, match="'camera' is in order, but nobody has let it in"):
        access.session(Peer(HERE, certificate_names=("camera",)))


def test_a_token_says_more_than_a_certificate(access: Authenticator) -> None:
    peer = Peer(HERE, (("authorization", f"Bearer {TOKEN}"),), ("phone.example.org",))
    assert _who(access, peer).identity == "camera"
    with pytest.raises(UnauthenticatedError):
        access.session(Peer(HERE, (("authorization", "Bearer x"),), ("phone.example.org",)))


def test_certificates_alone_let_in_whom_the_authority_signed() -> None:
    access = Authenticator(certificates=True)
    assert access.required
    assert _who(access, Peer(HERE, certificate_names=("anyone",))).identity == "anyone"
    with pytest.raises(UnauthenticatedError):
        access.session(Peer(HERE))


@pytest.mark.parametrize("names", [(), ("",), ("phone.example.org", "robot")])
def test_a_proxy_is_nobody_itself_and_says_one_name(access: Authenticator, names: tuple[str, ...]) -> None:
    forwarded = tuple(("x-splitnet-client", name) for name in names)
    with pytest.raises(UnauthenticatedError):
        access.session(Peer("ipv4:10.1.2.3:99", forwarded, ("phone.example.org",)))


def test_a_forwarded_identity_is_believed_from_proxies_only(access: Authenticator) -> None:
    forwarded = (("x-splitnet-client", "phone.example.org"),)
    assert _who(access, Peer("ipv4:10.1.2.3:99", forwarded)).identity == "phone.example.org"
    assert _who(access, Peer("ipv6:%5B::ffff:10.1.2.3%5D:99", forwarded)).identity == "phone.example.org"
    assert _who(access, _bearer(TOKEN, "ipv4:10.1.2.3:99")).identity == "camera"
    for address in ("ipv4:11.1.2.3:99", "unix:socket", "", "ipv4:", "ipv6:%5B10.0.0.1%5D:1"[:9]):
        with pytest.raises(UnauthenticatedError):
            access.session(Peer(address, forwarded))


def test_a_forwarded_address_is_the_proxys_own_word() -> None:
    access = Authenticator(proxies=PROXY)
    forwarded = (("x-forwarded-for", "203.0.113.9, 198.51.100.7"),)
    assert _who(access, Peer("ipv4:10.1.2.3:99", forwarded)).identity == "ipv4:198.51.100.7"
    assert _who(access, Peer("ipv4:11.1.2.3:99", forwarded)).identity == "ipv4:11.1.2.3"


def test_a_removed_token_ends_a_session(path: Path, access: Authenticator) -> None:
    clients = Clients(path)
    session = Authenticator(clients).session(_bearer(TOKEN))
    before = session.caller()
    assert session.caller() is before
    path.write_text(path.read_text(encoding="utf-8").replace("lite0*", "other"), encoding="utf-8")
    clients.load()
    assert session.caller().permits.models == ("other",)
    path.write_text("", encoding="utf-8")
    clients.load()
    for _ in range(2):
        with pytest.raises(UnauthenticatedError, match="no longer"):
            session.caller()


def test_a_token_that_expires_ends_a_session(path: Path) -> None:
    now = [1_767_225_000.0]
    session = Authenticator(Clients(path), wall_clock=lambda: now[0]).session(_bearer("old"))
    assert session.caller().identity == "old"
    now[0] = 1_767_225_600.0
    with pytest.raises(UnauthenticatedError, match="expired"):
        session.caller()


def test_a_broken_file_leaves_the_old_clients(path: Path) -> None:
    clients = Clients(path)
    good = path.read_text(encoding="utf-8")
    for bad in ("[[token", '[[token]]\nname = "x"\n', good + good):
        path.write_text(bad, encoding="utf-8")
        clients.load()
        assert clients.generation == 1
        assert clients.token(TOKEN) is not None
    path.unlink()
    clients.load()
    assert clients.token(TOKEN) is not None
    path.write_text(good.replace("camera", "camera-2"), encoding="utf-8")
    clients.load()
    assert clients.generation == 2
    found = clients.token(TOKEN)
    assert found is not None
    assert found.name == "camera-2"


def test_the_file_is_looked_at_once_a_second_and_read_off_the_loop(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    clients = Clients(path, clock=lambda: now[0])
    started: list[threading.Thread] = []
    monkeypatch.setattr(threading.Thread, "start", lambda thread: started.append(thread))
    os.utime(path, ns=(1, 1))
    now[0] = 0.9
    clients.refresh()
    assert not started
    now[0] = 1.1
    clients.refresh()
    now[0] = 9.0
    clients.refresh()
    assert len(started) == 1
    started[0].run()
    now[0] = 19.0
    clients.refresh()
    assert len(started) == 1
    assert clients.generation == 2


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[token]]\nname = "a:b"\nsha256 = "' + "0" * 64 + '"', r"line 2, token\.0\.name: .*given: 'a:b'"),
        ('[[token]]\nname = "a"\n', r"line 1, token\.0\.sha256: is missing"),
        ('\n[[token]]\nname = "a"\nsha256 = "splitnet_secret"', r"line 4, token\.0\.sha256: string should match"),
        ('[[certificate]]\nname = "a"\nmodel = ["x"]', r"line 3, certificate\.0\.model: no such key"),
        ("[[token]]\nname = \n", "line 2: invalid value"),
    ],
)
def test_what_is_wrong_with_the_file(path: Path, text: str, says: str) -> None:
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=says) as caught:
        Clients(path)
    assert "secret" not in str(caught.value)


def test_the_same_token_twice(path: Path) -> None:
    entry = f'[[token]]\nname = "a"\nsha256 = "{"0" * 64}"\n'
    path.write_text(entry + entry, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"line 6, token\.1\.sha256: the same token is there twice"):
        Clients(path)


def test_new_tokens_are_long_and_never_the_same() -> None:
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) >= 52 and token.isascii() for token in tokens)


@pytest.mark.parametrize(
    ("peer", "host", "counted"),
    [
        ("ipv4:192.0.2.1:4711", "192.0.2.1", "ipv4:192.0.2.1"),
        ("ipv6:%5B2001:db8::1%5D:4711", "2001:db8::1", "ipv6:2001:db8::/64"),
        ("ipv6:%5B::ffff:192.0.2.1%5D:1", "::ffff:192.0.2.1", "ipv4:192.0.2.1"),
        ("unix:/run/x", "unix:/run/x", "peer:unix:/run/x"),
    ],
)
def test_addresses(peer: str, host: str, counted: str) -> None:
    assert host_of(peer) == host
    assert machine(host) == counted


def test_a_time_without_a_zone_is_utc(tmp_path: Path) -> None:
    path = tmp_path / "clients.toml"
    entry = f'[[token]]\nname = "a"\nsha256 = "{token_hash("a")}"\n'
    path.write_text(entry + "expires = 1970-01-02T00:00:00\n", encoding="utf-8")
    found = Clients(path).token("a")
    assert found is not None
    assert found.until == 86400
    path.write_text(entry, encoding="utf-8")
    found = Clients(path).token("a")
    assert found is not None
    assert found.until == math.inf
