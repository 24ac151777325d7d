"""Who asks: what a transport knows about the other end becomes a `Caller`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from splitnet.cloud.access.addresses import Network, host_of, in_networks, machine
from splitnet.cloud.access.caller import EVERYTHING, NO_LIMITS, Caller, ClientLimits
from splitnet.cloud.access.clients import Clients
from splitnet.cloud.access.clients_file import Entry
from splitnet.errors import PermissionDeniedError, ServiceError, UnauthenticatedError

Refused = Callable[[ServiceError, Caller], None]
_LONGEST_TOKEN = 4096


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end as a transport sees it.

    `address` is gRPC's (`ipv4:192.0.2.1:4711`), `metadata` pairs of lower-case keys and values, `certificate_names` the
    alternative names and the common name of a client certificate that was verified.
    """

    address: str
    metadata: Sequence[tuple[str, str | bytes]] = ()
    certificate_names: Sequence[str] = ()

    def values(self, key: str) -> list[str]:
        """Every value of a metadata key; bytes are none."""
        return [value for name, value in self.metadata if name == key and isinstance(value, str)]


class Authenticator:
    """Decides who a peer is. Safe from any thread.

    Parameters
    ----------
    clients
        Tokens and certificates known; without them everyone is let in as far as the transport let them in.
    certificates
        Whether the transport verifies client certificates: each is a client then, whether or not `clients` are given.
    proxies
        Networks whose word about their clients is believed, in the metadata `forwarded_header` (a client's name) and
        `x-forwarded-for` (a client's address).
    defaults
        Limits of each client that has none of its own.
    wall_clock
        Seconds since 1970, for when tokens end.
    """

    def __init__(
        self,
        clients: Clients | None = None,
        *,
        certificates: bool = False,
        proxies: Sequence[Network] = (),
        forwarded_header: str = "x-splitnet-client",
        defaults: ClientLimits = NO_LIMITS,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._clients = clients
        self._certificates = certificates
        self._proxies = tuple(proxies)
        self._forwarded_header = forwarded_header
        self._defaults = defaults
        self.wall_clock = wall_clock

    @property
    def required(self) -> bool:
        """Whether clients have to say who they are."""
        return self._clients is not None or self._certificates

    @property
    def generation(self) -> int:
        """Grows when what clients may has changed."""
        if self._clients is None:
            return 0
        self._clients.refresh()
        return self._clients.generation

    def session(self, peer: Peer, refused: Refused | None = None) -> Session:
        """Authenticate a call or stream; `refused` is told of each error, with the peer as one nobody knows.

        Raises
        ------
        UnauthenticatedError, PermissionDeniedError
        """
        return Session(self, peer, refused)

    def identify(self, peer: Peer) -> tuple[Caller, float]:
        """The caller, and until when it is one (seconds since 1970). Raises as `session`."""
        from_proxy = bool(self._proxies) and in_networks(peer.address, self._proxies)
        if not self.required:
            return self._anyone(peer, from_proxy), math.inf
        authorization = peer.values("authorization")
        if authorization and self._clients is not None:
            return self._bearer(authorization, self._clients)
        if from_proxy:
            # Never by the proxy's own certificate: its clients would all be the proxy.
            names = peer.values(self._forwarded_header)
            if len(names) == 1 and names[0]:
                return self._named(names)
            raise UnauthenticatedError("no credentials; send a token")
        if peer.certificate_names:
            return self._named(peer.certificate_names)
        raise UnauthenticatedError("no credentials; send a token in the metadata key authorization")

    def _bearer(self, values: Sequence[str], clients: Clients) -> tuple[Caller, float]:
        scheme, _, token = values[0].partition(" ")
        if len(values) != 1 or scheme.lower() != "bearer" or not token or len(token) > _LONGEST_TOKEN:
            raise UnauthenticatedError("the metadata key authorization is not `Bearer TOKEN`")
        entry = clients.token(token)
        if entry is None:
            raise UnauthenticatedError("this token is not known here, or no longer; ask for a new one")
        return self._listed(entry, "token")

    def _named(self, names: Sequence[str]) -> tuple[Caller, float]:
        if self._clients is None:
            return Caller(names[0], names[0], limits=self._defaults), math.inf
        for name in names:
            entry = self._clients.certificate(name)
            if entry is not None:
                return self._listed(entry, "certificate's entry")
        raise PermissionDeniedError(f"the certificate of {names[0][:80]!r} is in order, but nobody has let it in")

    def _listed(self, entry: Entry, what: str) -> tuple[Caller, float]:
        if self.wall_clock() >= entry.until:
            raise UnauthenticatedError(f"this {what} has expired; ask for a new one")
        limits = entry.limits.over(self._defaults)
        return Caller(entry.name, entry.name, entry.permits, limits), entry.until

    def _anyone(self, peer: Peer, from_proxy: bool) -> Caller:
        host, share = host_of(peer.address), peer.address
        forwarded = peer.values("x-forwarded-for") if from_proxy else []
        if forwarded:
            # The last is what the proxy saw itself; those before are what its client said.
            host = share = forwarded[-1].rpartition(",")[2].strip()
        return Caller(machine(host), share, EVERYTHING, self._defaults)


class Session:
    """A peer for as long as its call or stream lives.

    Streams live long: `caller` asks again who this is once tokens have changed or the token has ended.
    """

    __slots__ = ("_authenticator", "_caller", "_generation", "_peer", "_refused", "_until")

    def __init__(self, authenticator: Authenticator, peer: Peer, refused: Refused | None = None) -> None:
        self._authenticator, self._peer, self._refused = authenticator, peer, refused
        self._generation = authenticator.generation
        self._caller, self._until = self._identify()

    def caller(self) -> Caller:
        """Who this is at this moment; cheap enough for every message.

        Raises
        ------
        UnauthenticatedError, PermissionDeniedError
            if the credentials were taken back or have expired.
        """
        generation = self._authenticator.generation
        if generation != self._generation or (
            self._until != math.inf and self._authenticator.wall_clock() >= self._until
        ):
            self._caller, self._until = self._identify()
            self._generation = generation
        return self._caller

    def _identify(self) -> tuple[Caller, float]:
        try:
            return self._authenticator.identify(self._peer)
        except ServiceError as error:
            if self._refused is not None:
                address = self._peer.address
                self._refused(error, Caller(machine(host_of(address)), address))
            raise
