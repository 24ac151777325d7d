"""`splitnet sign`: vouch for a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def sign(
    bundle: Annotated[Path, typer.Argument(metavar="DIR", help="The bundle's directory.")],
    key: Annotated[Path, typer.Option(help="PEM file of an Ed25519 private key, without a password.")],
) -> None:
    """Check every file of a bundle and sign it; devices take no update that the owner of the key did not sign."""
    from splitnet.bundle import Bundle
    from splitnet.bundle.signature import sign_bundle

    opened = Bundle.load(bundle)
    # What is not as its manifest says is not worth a signature.
    opened.verify()
    sign_bundle(bundle, opened.fingerprint, key)
    typer.echo(f"signed {opened.manifest.name} {opened.manifest.version} {opened.fingerprint}")
