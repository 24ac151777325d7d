"""The file that says who may ask: tokens by their hash, certificates by their name.

Tokens are 256 random bits, so a plain SHA-256 of one cannot be turned back by trying: slow, salted hashes protect what
people choose, and would cost the service milliseconds for each connection here.
"""

from __future__ import annotations

import hashlib
import math
import secrets
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from splitnet.cloud.access.caller import ClientLimits, Permits
from splitnet.config.reading import read_toml
from splitnet.errors import ConfigError

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@-]{0,127}$")]
"""Without a colon, which every address has: no client can be named so that it counts as another one's address."""


class Entry(BaseModel):
    """What both kinds of entries say: who it is, what it may, and until when."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Name
    models: tuple[str, ...] = ("*",)
    tasks: tuple[str, ...] = ("*",)
    max_priority: int = Field(default=3, ge=0, le=3)
    rate: float | None = Field(default=None, gt=0)
    burst: int | None = Field(default=None, ge=1)
    concurrency: int | None = Field(default=None, ge=1)
    expires: datetime | None = None

    @property
    def permits(self) -> Permits:
        return Permits(self.models, self.tasks, self.max_priority)

    @property
    def limits(self) -> ClientLimits:
        return ClientLimits(self.rate, self.burst, self.concurrency)

    @property
    def until(self) -> float:
        """Seconds since 1970 at which it ends; a time without a zone is UTC."""
        if self.expires is None:
            return math.inf
        zoned = self.expires if self.expires.tzinfo else self.expires.replace(tzinfo=UTC)
        return zoned.timestamp()


class TokenEntry(Entry):
    """A bearer token; several of one name are one client, as while a token is replaced."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class CertificateEntry(Entry):
    """A client certificate, by its common name or one of its alternative names: `subject`, or `name` without it."""

    subject: str = Field(default="", max_length=1024)


class ClientsFile(BaseModel):
    """The whole file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    token: tuple[TokenEntry, ...] = ()
    certificate: tuple[CertificateEntry, ...] = ()


def read_clients(path: Path) -> ClientsFile:
    """Raises ConfigError, with the line."""
    document = read_toml(path)
    clients = document.validate(ClientsFile)
    seen: dict[str, int] = {}
    for number, entry in enumerate(clients.token):
        if entry.sha256 in seen:
            raise ConfigError(document.at(("token", number, "sha256"), "the same token is there twice"))
        seen[entry.sha256] = number
    return clients


def new_token() -> str:
    """256 random bits, with a prefix by which those who search for leaked secrets find it."""
    return "splitnet_" + secrets.token_urlsafe(32)


def token_hash(token: str) -> str:
    """What the file holds of a token: 64 hexadecimal digits."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
