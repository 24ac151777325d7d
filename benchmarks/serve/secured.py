"""A server as in production: TLS, client certificates, tokens and limits for each client, all made for one run."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from pathlib import Path

from splitnet.wire.credentials import Credentials
from tests.cloud.certificates import Authority

RATE, CONCURRENCY = 30, 8
"""Requests a second and in flight that every client may have."""


@dataclass(frozen=True, slots=True)
class Secured:
    """Options for `splitnet serve`; credentials of clients that are let in, and of those that are not."""

    options: tuple[str, ...]
    clients: tuple[Credentials, ...]
    expired: Credentials
    stranger: Credentials


def secured(folder: Path, clients: int) -> Secured:
    """Certificates, tokens and a configuration in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    authority, other = Authority(folder), Authority(folder, "other")
    server = authority.server()
    device, expired = authority.issue("device"), authority.issue("expired", days=(-2, -1))
    stranger = other.issue("stranger")
    tokens = [secrets.token_urlsafe(32) for _ in range(clients)]
    entries = [
        f'[[token]]\nname = "device-{number}"\nsha256 = "{hashlib.sha256(token.encode()).hexdigest()}"\n'
        for number, token in enumerate(tokens)
    ]
    (folder / "clients.toml").write_text("\n".join(entries), encoding="utf-8")
    config = folder / "serve.toml"
    config.write_text(
        f'[tls]\ncertificate = "{server.certificate.name}"\nkey = "{server.key.name}"\n'
        f'client_ca = "{authority.certificate.name}"\n\n[access]\nclients = "clients.toml"\n\n'
        f"[limits]\nrate = {RATE}\nconcurrency = {CONCURRENCY}\n",
        encoding="utf-8",
    )
    ca = authority.certificate
    return Secured(
        ("--config", str(config)),
        tuple(Credentials(token, ca=ca, certificate=device.certificate, key=device.key) for token in tokens),
        Credentials(tokens[0], ca=ca, certificate=expired.certificate, key=expired.key),
        Credentials(tokens[0], ca=ca, certificate=stranger.certificate, key=stranger.key),
    )
