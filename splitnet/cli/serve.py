"""`splitnet serve`: the cloud service."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from splitnet.errors import UsageError

if TYPE_CHECKING:
    from splitnet.cloud.observe.watch import Watch
    from splitnet.cloud.server import Server
    from splitnet.cloud.service import InferenceService


def serve(
    bundle: Annotated[
        list[Path] | None, typer.Option(help="Bundle to serve; give it several times for several models.")
    ] = None,
    repository: Annotated[Path | None, typer.Option(help="Folder of bundles at NAME/VERSION/; all are served.")] = None,
    follow: Annotated[
        bool, typer.Option("--watch", help="Follow the repository: load what comes and changes.")
    ] = False,
    admin_socket: Annotated[Path | None, typer.Option(help="Unix socket for `splitnet admin`, mode 0600.")] = None,
    listen: Annotated[str, typer.Option(help="HOST:PORT; port 0 takes a free one.")] = "127.0.0.1:50051",
    workers: Annotated[int, typer.Option(min=1, max=256, help="Requests that run at the same time.")] = 1,
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads of one graph run.")] = 1,
    queue: Annotated[int, typer.Option(min=0, help="Requests that may wait; one more is refused.")] = 256,
    max_frame_bytes: Annotated[int, typer.Option(min=1, max=1 << 30, help="Largest frame accepted.")] = 8 * 1024 * 1024,
    grace: Annotated[float, typer.Option(min=0, help="Seconds for work in flight when told to stop.")] = 10.0,
    metrics: Annotated[str, typer.Option(help="HOST:PORT of metrics, readiness and the status page.")] = "",
    metrics_host: Annotated[list[str] | None, typer.Option(help="A name under which these are asked for.")] = None,
) -> None:
    """Serve bundles over gRPC until SIGTERM or Ctrl-C; a second signal ends it at once."""
    import asyncio
    import os
    from contextlib import AsyncExitStack

    from splitnet.bundle import Bundle
    from splitnet.cli.logs import configure_logs
    from splitnet.cloud.batching import BatchSettings
    from splitnet.cloud.observe.watch import TOKEN_VARIABLE, PageSettings, Watch
    from splitnet.cloud.repository.manage import manage
    from splitnet.cloud.server import Server
    from splitnet.cloud.service import InferenceService

    if not bundle and repository is None:
        raise UsageError("nothing to serve; give --bundle DIR or --repository DIR")
    if follow and repository is None:
        raise UsageError("--watch follows a repository; give --repository DIR")
    configure_logs()
    watch = Watch(PageSettings(metrics, os.environ.get(TOKEN_VARIABLE, ""), tuple(metrics_host or ())))
    loaded = [Bundle.load(directory) for directory in bundle or ()]
    batching = BatchSettings(workers=workers, queue=queue)
    service = InferenceService(
        loaded, threads=threads, max_frame_bytes=max_frame_bytes, batching=batching, observer=watch.observer
    )

    async def run() -> None:
        async with AsyncExitStack() as stack:
            if repository is not None or admin_socket is not None:
                await stack.enter_async_context(manage(service, repository, watch=follow, admin_socket=admin_socket))
            await _serve(Server(service, listen=listen), service, watch, grace)

    asyncio.run(run())


async def _serve(server: Server, service: InferenceService, watch: Watch, grace: float) -> None:
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
    page = watch.open(service, lambda: server.ready)
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
