"""`splitnet edge roll-back`: back to the bundle from before an update."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from splitnet.cli.edge_daemon import Config


def roll_back(
    model: Annotated[str, typer.Argument(help="Name of the model in the configuration.")],
    config: Config = Path("edge.toml"),
) -> None:
    """Use the bundle from before the last update, from the daemon's next start or reload (SIGHUP) on.

    The present one is not fetched again.
    """
    from splitnet.edge.config.loading import load_config
    from splitnet.edge.daemon.assemble import shelf_of
    from splitnet.errors import UsageError

    settings = load_config(config)
    if model not in settings.models:
        raise UsageError(f"no model {model!r} in {config}; there are {', '.join(settings.models)}")
    place = shelf_of(settings, model).roll_back()
    typer.echo(f"{model}: {place}; reload the daemon (SIGHUP)")
