"""Servers out of a configuration."""

from __future__ import annotations

from collections.abc import Callable

from splitnet.edge.config.schema import LinkSection
from splitnet.edge.config.schema import Server as ServerSection
from splitnet.edge.grpc_aio_transport import AsyncGrpcTransport
from splitnet.edge.link.server import Pauses, Server
from splitnet.wire.credentials import Credentials

_DEAD = 5000
"""Milliseconds that a connection has to answer the question whether it is alive."""


def credentials_of(section: ServerSection) -> Credentials:
    """What is shown to a server."""
    return Credentials(
        token_file=section.token_file,
        ca=section.ca,
        certificate=section.certificate,
        key=section.key,
        secure=section.tls,
        application=section.application,
    )


def make_server(section: ServerSection, link: LinkSection) -> Server:
    """A server as configured; nothing is connected yet. Raises UsageError where its credentials cannot be used."""
    credentials = credentials_of(section)
    # Now, and not at the first frame.
    credentials.tls(section.address)
    credentials.metadata()
    options = [
        ("grpc.keepalive_time_ms", int(1000 * link.keepalive)),
        ("grpc.keepalive_timeout_ms", _DEAD),
        # A new channel is a new connection, without the pauses that gRPC keeps for an address.
        ("grpc.use_local_subchannel_pool", 1),
    ]
    connect: Callable[[], AsyncGrpcTransport] = lambda: AsyncGrpcTransport(  # noqa: E731 - a factory, bound here
        section.address, credentials, options=options
    )
    return Server(section.address, connect, Pauses(link.first_pause, link.longest_pause))
