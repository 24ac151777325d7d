"""Everything `splitnet serve` can be told; docs/configuration.md explains each key."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from splitnet.cloud.access.caller import ClientLimits
from splitnet.cloud.batching import BatchSettings
from splitnet.config.files import FilePath, Secret
from splitnet.config.sections import Address, Logging, Section, Tracing
from splitnet.runtime.backends import BackendName
from splitnet.wire.exchange import DEFAULT_MAX_FRAME_BYTES

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _network(value: str) -> str:
    ipaddress.ip_network(value)
    return value


NetworkText = Annotated[str, AfterValidator(_network)]


class Tls(Section):
    """PEM files; with `client_ca`, clients must have a certificate that it signed."""

    certificate: FilePath
    key: FilePath
    client_ca: FilePath | None = None


class Access(Section):
    """Who may ask: the file of clients, and the proxies whose word about clients is believed."""

    clients: FilePath | None = None
    proxies: tuple[NetworkText, ...] = ()
    forwarded_header: str = Field(default="x-splitnet-client", pattern=r"^[a-z0-9_.-]{1,64}$")

    @property
    def proxy_networks(self) -> tuple[Network, ...]:
        return tuple(ipaddress.ip_network(one) for one in self.proxies)


class Batching(Section):
    """As `splitnet.cloud.batching.BatchSettings`; seconds and bytes."""

    workers: int = Field(default=BatchSettings.workers, ge=1, le=256)
    decoders: int | None = Field(default=BatchSettings.decoders, ge=0, le=256)
    max_batch: int = Field(default=BatchSettings.max_batch, ge=1, le=4096)
    max_wait: float = Field(default=BatchSettings.max_wait, ge=0, le=10)
    queue: int = Field(default=BatchSettings.queue, ge=0)
    queue_bytes: int = Field(default=BatchSettings.queue_bytes, ge=1)

    @property
    def settings(self) -> BatchSettings:
        return BatchSettings(**self.model_dump())


class Limits(Section):
    """What bounds the service, and each client that has no limits of its own; 0 streams or connections: no bound."""

    max_frame_bytes: int = Field(default=DEFAULT_MAX_FRAME_BYTES, ge=1, le=1 << 30)
    streams_per_connection: int = Field(default=0, ge=0)
    connections: int = Field(default=0, ge=0)
    rate: float | None = Field(default=None, gt=0)
    burst: int | None = Field(default=None, ge=1)
    concurrency: int | None = Field(default=None, ge=1)
    clients_remembered: int = Field(default=65_536, ge=1)

    @model_validator(mode="after")
    def _burst_needs_a_rate(self) -> Limits:
        if self.burst is not None and self.rate is None:
            raise ValueError("burst says nothing without rate")
        return self

    @property
    def per_client(self) -> ClientLimits:
        return ClientLimits(self.rate, self.burst, self.concurrency)


class RepeatsSection(Section):
    """Answers kept for requests that are sent again: how many, and for how many seconds."""

    entries: int = Field(default=2048, ge=0)
    seconds: float = Field(default=60.0, ge=0)


class Metrics(Section):
    """The metrics port and its status page; `hosts` are the names under which a browser may ask for it."""

    listen: Address
    token: Secret | None = None
    hosts: tuple[str, ...] = ()


class Admin(Section):
    """Where `splitnet admin` reaches the service: a Unix socket, or an address with mutual TLS."""

    socket: FilePath | None = None
    listen: Address | None = None
    client_ca: FilePath | None = None

    @model_validator(mode="after")
    def _mutual(self) -> Admin:
        if (self.listen is None) != (self.client_ca is None):
            raise ValueError("an address needs a client_ca, and a client_ca an address: give both or none")
        return self


class ServeConfig(Section):
    """The whole file."""

    listen: Address = "127.0.0.1:50051"
    insecure: bool = False
    bundles: tuple[FilePath, ...] = ()
    repository: FilePath | None = None
    watch: bool = False
    threads: int = Field(default=1, ge=1, le=256)
    inter_threads: int = Field(default=1, ge=1, le=256)
    backend: BackendName = "onnxruntime"
    providers: tuple[str, ...] = ()
    device: str = ""
    grace: float = Field(default=10.0, ge=0)
    tls: Tls | None = None
    access: Access = Field(default_factory=Access)
    batching: Batching = Field(default_factory=Batching)
    limits: Limits = Field(default_factory=Limits)
    repeats: RepeatsSection = Field(default_factory=RepeatsSection)
    metrics: Metrics | None = None
    admin: Admin | None = None
    logging: Logging = Field(default_factory=Logging)
    tracing: Tracing | None = None
