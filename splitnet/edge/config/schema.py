"""Everything `splitnet edge daemon` can be told; docs/edge-daemon.md explains each key."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import Field, StringConstraints, model_validator

from splitnet.config.files import FilePath, Secret
from splitnet.config.sections import Address, Logging, Section, Tracing
from splitnet.edge.config.sinks import AnySink
from splitnet.edge.config.sources import AnySource
from splitnet.plan.candidate import Objective

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""Of a source, sink or model: it becomes part of metrics and file names."""


class Updates(Section):
    """Newer bundles from the servers, every `interval` seconds: only what the owner of `key` (PEM, public) signed."""

    key: FilePath
    interval: float = Field(default=3600.0, ge=1, le=30 * 86_400)
    max_bytes: int = Field(default=1 << 30, ge=1)


class Model(Section):
    """A bundle, and how it is run.

    With an edge and a cloud profile (`splitnet profile`) cut, codec and mode follow the link; without, they are `cut`
    and `codec`, the bundle's defaults where those are empty. Tasks of `cloud_only` are never answered on the device.
    `slowdown` emulates a device that many times slower, for trials of plans.
    """

    bundle: FilePath
    cut: str = ""
    codec: str = ""
    threads: int = Field(default=1, ge=1, le=256)
    edge_profile: FilePath | None = None
    cloud_profile: FilePath | None = None
    objective: Objective = "latency"
    cloud_only: tuple[str, ...] = ()
    slowdown: float = Field(default=1.0, ge=1, le=1000)
    updates: Updates | None = None

    @model_validator(mode="after")
    def _both(self) -> Self:
        if (self.edge_profile is None) != (self.cloud_profile is None):
            raise ValueError("a plan needs both profiles: give edge_profile and cloud_profile, or none")
        if self.edge_profile is not None and (self.cut or self.codec):
            raise ValueError("cut and codec are chosen by the plan where there are profiles: give one or the other")
        return self


class Server(Section):
    """A server; the first that answers is asked. TLS where `tls` is set or a file is given."""

    address: Address
    tls: bool = False
    ca: FilePath | None = None
    certificate: FilePath | None = None
    key: FilePath | None = None
    token_file: FilePath | None = None
    application: str = ""


class LinkSection(Section):
    """Requests under way at once over a stream, and seconds: `timeout` of one exchange, pauses before a server is
    tried again, silence after which a connection is checked.
    """

    in_flight: int = Field(default=8, ge=1, le=256)
    timeout: float = Field(default=10.0, gt=0, le=600)
    first_pause: float = Field(default=0.2, gt=0, le=60)
    longest_pause: float = Field(default=10.0, gt=0, le=3600)
    keepalive: float = Field(default=15.0, ge=10, le=3600)


class Spool(Section):
    """What waits for a server: bytes on disk, seconds of age. With `key` it is encrypted (needs cryptography)."""

    max_bytes: int = Field(default=256 << 20, ge=1 << 16)
    max_age: float = Field(default=7 * 86_400.0, gt=0)
    key: Secret | None = None


class Page(Section):
    """Where the live page, metrics and status are; others than this machine need the token."""

    listen: Address = "127.0.0.1:9120"
    token: Secret | None = None
    hosts: tuple[str, ...] = ()


class EdgeConfig(Section):
    """The whole file. `state` is the folder of the spool, of what was answered, and of the control socket."""

    guide: ClassVar[str] = "docs/edge-daemon.md"

    state: FilePath
    models: dict[Name, Model] = Field(min_length=1)
    servers: tuple[Server, ...] = ()
    sources: dict[Name, AnySource] = Field(min_length=1)
    sinks: dict[Name, AnySink] = Field(min_length=1)
    link: LinkSection = Field(default_factory=LinkSection)
    spool: Spool = Field(default_factory=Spool)
    page: Page | None = None
    grace: float = Field(default=10.0, ge=0, le=600)
    logging: Logging = Field(default_factory=Logging)
    tracing: Tracing | None = None
