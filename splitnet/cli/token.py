"""`splitnet token new`: a bearer token for a client."""

from __future__ import annotations

from typing import Annotated

import typer


def new(name: Annotated[str, typer.Argument(help="What the client is called: letters, digits and . _ @ -")]) -> None:
    """Print a new token, this once, and the lines for the service's file of clients, which hold its hash alone."""
    from pydantic import ValidationError

    from splitnet.cloud.access.clients_file import TokenEntry, new_token, token_hash
    from splitnet.errors import UsageError

    token = new_token()
    try:
        entry = TokenEntry(name=name, sha256=token_hash(token))
    except ValidationError as error:
        raise UsageError(f"{name!r} is no name for a client; use up to 128 letters, digits and . _ @ -") from error
    typer.echo(f"token, for the client (it is not kept anywhere):\n\n{token}\n\nlines, for the file of clients:\n")
    typer.echo(f'[[token]]\nname = "{entry.name}"\nsha256 = "{entry.sha256}"')
