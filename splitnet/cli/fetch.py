"""`splitnet fetch`: a bundle from a service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from splitnet.cli.admin import split_model
from splitnet.cli.credentials import Ca, Cert, Key, Tls, TokenFile, credentials


def fetch(
    model: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="Without VERSION the service's default.")],
    server: Annotated[str, typer.Option(help="HOST:PORT of the service.")],
    out: Annotated[Path, typer.Option(help="Directory to write; a bundle that is there is replaced.")],
    edge_only: Annotated[bool, typer.Option("--edge-only", help="Only what a device needs.")] = False,
    fingerprint: Annotated[str, typer.Option(help="Take no other bundle than this one (64 hexadecimal digits).")] = "",
    signed_by: Annotated[Path | None, typer.Option(help="Take only what the owner of this public key signed.")] = None,
    max_bytes: Annotated[int, typer.Option(min=1, help="Take no larger bundle.")] = 4 << 30,
    token_file: TokenFile = None,
    ca: Ca = None,
    cert: Cert = None,
    key: Key = None,
    tls: Tls = False,
) -> None:
    """Fetch a bundle, verified; after a break, the same command goes on where it was."""
    import re

    from splitnet.edge.fetch import FetchLimits, fetch_bundle
    from splitnet.errors import UsageError

    name, version = split_model(model)
    if fingerprint and not re.fullmatch("[0-9a-f]{64}", fingerprint):
        raise UsageError(f"--fingerprint {fingerprint!r} is not a SHA-256: 64 hexadecimal digits")
    bundle = fetch_bundle(
        name,
        server,
        out,
        version=version,
        fingerprint=fingerprint,
        edge_only=edge_only,
        limits=FetchLimits(max_bytes=max_bytes),
        credentials=credentials(token_file, ca, cert, key, tls),
        signed_by=signed_by,
    )
    typer.echo(f"{bundle.manifest.name} {bundle.manifest.version} {bundle.fingerprint}")
