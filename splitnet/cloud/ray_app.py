"""The service on Ray Serve: replicas on a cluster behind Serve's gRPC proxies.

``serve run splitnet.cloud.ray_app:app bundles=/srv/bundle`` or, in a Serve config file, ``import_path:
splitnet.cloud.ray_app:app`` with the fields of `AppSettings` as ``args``. ``python -m splitnet.cloud.ray_app --bundle
DIR`` runs it all on this machine. Serve's gRPC port listens on every address, without TLS: keep it behind a firewall
and a proxy that has TLS.
"""

# No postponed annotations here: Serve looks at the type of `app`'s argument and validates only what is a class.

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import Field, field_validator, model_validator

from splitnet.cloud.ray_ingress import SERVICER_FUNCTION
from splitnet.cloud.ray_replica import Replica, ReplicaSettings
from splitnet.errors import UsageError
from splitnet.wire.channels import MESSAGE_OVERHEAD

try:
    from ray import serve
    from ray.serve import Application
    from ray.serve.config import AutoscalingConfig, HTTPOptions, gRPCOptions
except ImportError as error:
    problem = UsageError(f"the Ray engine needs {error.name}; pip install 'splitnet[ray]'")
    if __name__ != "__main__":
        raise problem from error
    print(f"splitnet: {problem}", file=sys.stderr)
    sys.exit(2)

APPLICATION = "splitnet"
"""Name of the application; clients say it where a cluster has several (`application` in their metadata)."""

GRPC_PORT = 9000


class AppSettings(ReplicaSettings):
    """What the application is: `ReplicaSettings`, and how many of them.

    Parameters
    ----------
    min_replicas, max_replicas
        Replicas; with different numbers, Serve scales between them.
    target_ongoing_requests
        Requests running or waiting in each replica that scaling aims at. A stream counts as one, whatever it carries:
        scaling needs unary calls, or many devices with a stream each.
    upscale_delay_s, downscale_delay_s
        How long the load must differ before replicas come or go.
    num_cpus
        Processors that Ray books for a replica; by default `workers * threads`.
    grace_seconds
        How long a replica that is replaced may go on answering. Streams end within `stream_seconds`.
    """

    min_replicas: int = Field(default=2, ge=1)
    max_replicas: int = Field(default=2, ge=1)
    target_ongoing_requests: float = Field(default=4.0, gt=0)
    upscale_delay_s: float = Field(default=10.0, ge=0)
    downscale_delay_s: float = Field(default=300.0, ge=0)
    num_cpus: float | None = Field(default=None, gt=0)
    grace_seconds: float = Field(default=75.0, ge=0)

    @field_validator("bundles", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        """`serve run` has strings only: commas between paths."""
        return tuple(value.split(",")) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _ordered(self) -> "AppSettings":
        if self.max_replicas < self.min_replicas:
            raise ValueError(f"max_replicas {self.max_replicas} is below min_replicas {self.min_replicas}")
        return self


def app(settings: AppSettings) -> Application:
    """The application, for `serve.run`, `serve run` and Serve config files."""
    return build(settings)


def build(settings: AppSettings, replica: type[Replica] = Replica) -> Application:
    """As `app`, with a class of replicas that may be your own."""
    batching, threads = settings.service.batching, settings.service.threads
    options: dict[str, Any] = {"num_replicas": settings.min_replicas}
    if settings.max_replicas > settings.min_replicas:
        options = {
            "autoscaling_config": AutoscalingConfig(
                min_replicas=settings.min_replicas,
                max_replicas=settings.max_replicas,
                target_ongoing_requests=settings.target_ongoing_requests,
                upscale_delay_s=settings.upscale_delay_s,
                downscale_delay_s=settings.downscale_delay_s,
            )
        }
    deployment = serve.deployment(
        replica,
        name="InferenceService",
        # Our own line refuses what is too much, with a hint when to come back; Serve's would hold it without a word.
        max_ongoing_requests=4 * (batching.queue + batching.workers),
        health_check_period_s=5.0,
        health_check_timeout_s=15.0,
        graceful_shutdown_wait_loop_s=0.2,
        graceful_shutdown_timeout_s=settings.grace_seconds,
        ray_actor_options={"num_cpus": settings.num_cpus or batching.workers * threads},
        **options,
    )
    bound: Application = deployment.bind(settings)
    return bound


def run(
    application: Application, *, grpc_port: int = GRPC_PORT, http_port: int = 8000, name: str = APPLICATION
) -> None:
    """Start Serve's proxies on the Ray cluster that this process is connected to, and the application on them.

    The proxy for HTTP cannot be left out; it is on the loopback address, and the application answers nothing there.
    """
    serve.start(
        http_options=HTTPOptions(host="127.0.0.1", port=http_port),
        grpc_options=gRPCOptions(port=grpc_port, grpc_servicer_functions=[SERVICER_FUNCTION]),
    )
    # With a route, though only gRPC is served: Serve's proxies do not know an application that has none.
    serve.run(application, name=name, route_prefix=f"/{name}")


def limit_messages(max_frame_bytes: int) -> None:
    """Bound what Serve's proxies read at once, 2 GiB by default; before Ray is started."""
    os.environ.setdefault("RAY_SERVE_GRPC_MAX_MESSAGE_SIZE", str(max_frame_bytes + MESSAGE_OVERHEAD))


def main(
    config: Annotated[Path | None, typer.Option(help="TOML file, as for `splitnet serve`.")] = None,
    bundle: Annotated[
        list[Path] | None, typer.Option(help="Bundle to serve; several times for several models.")
    ] = None,
    port: Annotated[int, typer.Option(min=1, max=65535, help="gRPC port, on every address.")] = GRPC_PORT,
    http_port: Annotated[int, typer.Option(min=1, max=65535, help="Serve's own status, on loopback.")] = 8000,
    replicas: Annotated[int, typer.Option(min=1, help="Replicas.")] = 2,
    workers: Annotated[int | None, typer.Option(min=1, help="Batches that a replica runs at a time.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="Threads of one graph run.")] = None,
    queue: Annotated[int | None, typer.Option(min=0, help="Requests that may wait in a replica.")] = None,
    num_cpus: Annotated[float | None, typer.Option(min=0.01, help="Processors booked for a replica.")] = None,
    address: Annotated[str, typer.Option(help="Ray cluster to join; by default one on this machine.")] = "",
) -> None:
    """Serve bundles on Ray Serve until SIGTERM or Ctrl-C."""
    import ray

    settings = AppSettings(
        config=None if config is None else config.resolve(),
        bundles=tuple(path.resolve() for path in bundle or ()),
        workers=workers,
        threads=threads,
        queue=queue,
        num_cpus=num_cpus,
        min_replicas=replicas,
        max_replicas=replicas,
    )
    limit_messages(settings.service.limits.max_frame_bytes)
    ray.init(address=address or None, include_dashboard=False, log_to_driver=False)
    try:
        run(build(settings), grpc_port=port, http_port=http_port)
        # Only now: Ray puts handlers of its own in their place when it starts.
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        print(f"serving on 127.0.0.1:{port}", flush=True)
        stop.wait()
        serve.shutdown()
    finally:
        with contextlib.suppress(KeyboardInterrupt):
            ray.shutdown()


if __name__ == "__main__":
    typer.run(main)
