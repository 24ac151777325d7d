"""`splitnet edge daemon`: sources to sinks, for as long as the device runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Config = Annotated[
    Path, typer.Option(envvar="SPLITNET_EDGE_CONFIG", help="TOML file, see docs/edge-daemon.md.", show_default=True)
]


def daemon(
    config: Config = Path("edge.toml"),
    check: Annotated[bool, typer.Option("--check", help="Check the configuration and what it names, and end.")] = False,
) -> None:
    """Answer what comes from the configured sources until SIGTERM or Ctrl-C, or until every source has ended.

    SIGHUP reads the configuration again. Exit code 0 after a signal; see docs/cli.md for the others.
    """
    import asyncio
    import os

    from splitnet.runtime.heap import share_heap

    # Before any thread starts.
    share_heap()
    from splitnet.cli.logs import configure_logs
    from splitnet.edge.config.loading import load_config

    settings = load_config(config)
    if check:
        from splitnet.edge.daemon.checking import check_config

        typer.echo("\n".join(check_config(settings)))
        return
    configure_logs(settings.logging.level, settings.logging.format)
    if settings.tracing is not None:
        # OpenTelemetry's own variable; where it is set already, it says what this start is to do.
        os.environ.setdefault("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", settings.tracing.endpoint)
    from splitnet.cli.tracing import send_traces
    from splitnet.edge.daemon.daemon import Daemon
    from splitnet.edge.observe.notify import Notifier

    send_traces("splitnet-edge")
    asyncio.run(Daemon(config, notifier=Notifier.from_environment()).run())
