"""The options by which commands of the device show who they are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from splitnet.wire.credentials import Credentials

TokenFile = Annotated[
    Path | None, typer.Option(help="File with a bearer token; or the token itself in SPLITNET_TOKEN.")
]
Ca = Annotated[Path | None, typer.Option(help="PEM file of the server's authority; implies TLS.")]
Cert = Annotated[Path | None, typer.Option(help="PEM file of a client certificate, for mutual TLS.")]
Key = Annotated[Path | None, typer.Option(help="PEM file of its key.")]
Tls = Annotated[bool, typer.Option("--tls", help="Speak TLS, with the authorities of the system.")]


def credentials(
    token_file: Path | None, ca: Path | None, cert: Path | None, key: Path | None, tls: bool
) -> Credentials:
    """What the options and the environment say."""
    token = "" if token_file is not None else os.environ.get("SPLITNET_TOKEN", "")
    return Credentials(token, token_file, ca, cert, key, tls)
