"""`splitnet edge status`: what a running daemon says of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from splitnet.cli.edge_daemon import Config
from splitnet.errors import UnavailableError

TIMEOUT = 5.0


def status(
    config: Config = Path("edge.toml"),
    as_json: Annotated[bool, typer.Option("--json", help="Everything, as JSON.")] = False,
) -> None:
    """Show sources, servers, plan, spool and the last errors of the daemon that runs with this configuration."""
    import json

    from splitnet.edge.config.loading import load_config
    from splitnet.edge.daemon.surfaces import socket_of

    found = ask(socket_of(load_config(config).state))
    if as_json:
        typer.echo(json.dumps(found, indent=2))
        return
    from rich.console import Console

    from splitnet.cli.edge_tables import tables

    console = Console(highlight=False)
    for table in tables(found):
        console.print(table)


def ask(socket_path: Path) -> dict[str, Any]:
    """The daemon's status. Raises UnavailableError where none answers."""
    import http.client
    import json
    import socket

    connection = http.client.HTTPConnection("localhost", timeout=TIMEOUT)
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(TIMEOUT)
            link.connect(str(socket_path))
            connection.sock = link
            connection.request("GET", "/status.json")
            answer: dict[str, Any] = json.loads(connection.getresponse().read())
            return answer
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise UnavailableError(
            f"no daemon answers at {socket_path} ({reason}); is `splitnet edge daemon` running?"
        ) from error
