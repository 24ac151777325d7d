"""`splitnet serve`: the cloud service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from splitnet.errors import UsageError

if TYPE_CHECKING:
    from splitnet.cloud.observe.watch import Watch
    from splitnet.cloud.repository.repository import Repository
    from splitnet.cloud.server import Server


def serve(
    config: Annotated[
        Path | None, typer.Option(help="TOML file, see docs/configuration.md; options override it.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Try files and bundles, say what would be served, end.")
    ] = False,
    bundle: Annotated[
        list[Path] | None, typer.Option(help="Bundle to serve; give it several times for several models.")
    ] = None,
    repository: Annotated[Path | None, typer.Option(help="Folder of bundles at NAME/VERSION/; all are served.")] = None,
    follow: Annotated[
        bool, typer.Option("--watch", help="Follow the repository: load what comes and changes.")
    ] = False,
    admin_socket: Annotated[Path | None, typer.Option(help="Unix socket for `splitnet admin`, mode 0600.")] = None,
    listen: Annotated[
        str | None, typer.Option(help="HOST:PORT; port 0 takes a free one.  [default: 127.0.0.1:50051]")
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Do without TLS or authentication also beyond loopback.")
    ] = False,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM file: the server's certificate chain.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM file: its key, unencrypted.")] = None,
    client_ca: Annotated[
        Path | None, typer.Option(help="PEM file: clients need a certificate of this authority.")
    ] = None,
    clients: Annotated[Path | None, typer.Option(help="TOML file of tokens and certificates, see `token new`.")] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Batches that run at the same time.  [default: 1]")
    ] = None,
    threads: Annotated[int | None, typer.Option(min=1, max=256, help="Threads of one graph run.  [default: 1]")] = None,
    backend: Annotated[
        str | None, typer.Option(help="What runs the graphs: onnxruntime or torch.  [default: onnxruntime]")
    ] = None,
    queue: Annotated[
        int | None, typer.Option(min=0, help="Requests that may wait; one more is refused.  [default: 256]")
    ] = None,
    max_frame_bytes: Annotated[
        int | None, typer.Option(min=1, max=1 << 30, help="Largest frame accepted.  [default: 8388608]")
    ] = None,
    grace: Annotated[
        float | None, typer.Option(min=0, help="Seconds for work in flight when told to stop.  [default: 10]")
    ] = None,
    metrics: Annotated[str | None, typer.Option(help="HOST:PORT of metrics, readiness and the status page.")] = None,
    metrics_host: Annotated[list[str] | None, typer.Option(help="A name under which these are asked for.")] = None,
) -> None:
    """Serve bundles over gRPC until SIGTERM or Ctrl-C; a second signal ends it at once."""
    import asyncio
    import os
    from contextlib import AsyncExitStack

    import uvloop

    from splitnet.cli.logs import configure_logs
    from splitnet.cloud.config import assemble
    from splitnet.cloud.config.loading import read_config, with_options
    from splitnet.cloud.config.schema import ServeConfig
    from splitnet.cloud.observe.watch import Watch
    from splitnet.runtime.heap import share_heap

    options = {
        "bundles": bundle or None,
        "repository": repository,
        "watch": follow or None,
        "admin.socket": admin_socket,
        "listen": listen,
        "insecure": insecure or None,
        "tls.certificate": tls_cert,
        "tls.key": tls_key,
        "tls.client_ca": client_ca,
        "access.clients": clients,
        "batching.workers": workers,
        "batching.queue": queue,
        "threads": threads,
        "backend": backend,
        "limits.max_frame_bytes": max_frame_bytes,
        "grace": grace,
        "metrics.listen": metrics or None,
        "metrics.hosts": metrics_host or None,
    }
    settings = with_options(ServeConfig() if config is None else read_config(config), options)
    if not settings.bundles and settings.repository is None:
        raise UsageError("nothing to serve; give --bundle DIR or --repository DIR, or --config FILE that names some")
    if settings.watch and settings.repository is None:
        raise UsageError("--watch follows a repository; give --repository DIR")
    if check:
        typer.echo("\n".join(assemble.check(settings)))
        return
    assemble.check_safe(settings)
    configure_logs(settings.logging.level, settings.logging.format)
    if settings.tracing is not None:
        # OpenTelemetry's own variable; where it is set already, it says what this start is to do.
        os.environ.setdefault("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", settings.tracing.endpoint)
    share_heap()
    watch = Watch(assemble.pages(settings))
    service = assemble.build_service(settings, watch.observer)

    async def run() -> None:
        async with AsyncExitStack() as stack:
            managed: Repository | None = None
            if settings.repository is not None or settings.admin is not None:
                managed = await stack.enter_async_context(assemble.management(settings, service))
            server = assemble.build_server(settings, service)
            page = watch.open(service, lambda: server.ready, tuple if managed is None else managed.last_seen)
            await _serve(server, page, watch, settings.grace)

    # Its callbacks cost less: some five percent of a core that is busy with requests.
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


async def _serve(server: Server, page: str, watch: Watch, grace: float) -> None:
    import asyncio
    import os
    import signal

    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(1)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    try:
        await server.start()
        # One line on standard output for whoever started us, after which requests are answered.
        print(f"serving on {server.address}", flush=True)
        if page:
            print(f"status page on {page}", flush=True)
        await stop.wait()
        await server.stop(grace)
    finally:
        watch.close()
