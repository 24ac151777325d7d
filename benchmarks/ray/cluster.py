"""Ray on this machine, kept small, and nothing of it left afterwards."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

from splitnet.cloud.ray_app import APPLICATION, AppSettings, build, limit_messages, run
from splitnet.cloud.ray_replica import Replica
from splitnet.errors import UsageError

OBJECT_STORE_BYTES = 100 * 1024 * 1024


@contextlib.contextmanager
def cluster() -> Iterator[None]:
    """Ray without dashboard, in a temporary folder that is removed. Raises UsageError where Ray is not installed."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    limit_messages(1 << 20)
    try:
        import ray
        from ray import serve
    except ImportError as error:
        raise UsageError("this needs Ray; pip install 'splitnet[ray]'") from error
    # A short path: Unix sockets lie in it.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    try:
        ray.init(
            num_cpus=2,
            object_store_memory=OBJECT_STORE_BYTES,
            include_dashboard=False,
            log_to_driver=False,
            configure_logging=False,
            _temp_dir=folder,
        )
        try:
            yield
        finally:
            serve.shutdown()
            ray.shutdown()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def deployed(
    bundle: Path, ports: tuple[int, int], replica: type[Replica] = Replica, name: str = APPLICATION
) -> Iterator[str]:
    """Two replicas, and the address to send to; `ports` are for gRPC and for HTTP, `name` is the application's."""
    from ray import serve

    settings = AppSettings(bundles=(bundle,), num_cpus=0.1, stream_seconds=5.0, grace_seconds=6.0)
    run(build(settings, replica), grpc_port=ports[0], http_port=ports[1], name=name)
    try:
        yield f"127.0.0.1:{ports[0]}"
    finally:
        serve.delete(name)


def free_ports() -> tuple[int, int]:
    """Two ports that nobody listens on at this moment."""
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]


def replica_processes() -> list[int]:
    """Process ids of the replicas among this process's own descendants."""
    parents: dict[int, int] = {}
    replicas = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            title = (entry / "cmdline").read_bytes()
            parents[int(entry.name)] = int((entry / "stat").read_text("ascii", "replace").rpartition(")")[2].split()[1])
            if title.startswith(b"ray::ServeReplica:"):
                replicas.append(int(entry.name))
    return sorted(one for one in replicas if _descends(one, parents))


def _descends(process: int, parents: dict[int, int]) -> bool:
    while process > 1:
        if process == os.getpid():
            return True
        process = parents.get(process, 0)
    return False
