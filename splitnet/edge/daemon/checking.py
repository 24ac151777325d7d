"""Whether a configuration can be run, and a server has what this device needs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from splitnet.bundle import Bundle
from splitnet.edge.config.schema import EdgeConfig
from splitnet.edge.daemon.assemble import build
from splitnet.edge.link.server import Server
from splitnet.edge.observe.tally import EdgeTally
from splitnet.edge.spool.store import Store
from splitnet.errors import FingerprintError

TIMEOUT = 5.0


async def check_server(bundles: Sequence[Bundle], server: Server) -> None:
    """Raises ServiceError: FingerprintError where the server's bundle is another one than the device's."""
    limits = []
    for bundle in bundles:
        manifest = bundle.manifest
        model = await server.describe(manifest.name, manifest.version, TIMEOUT)
        found = model.summary.fingerprint
        if found != bundle.fingerprint:
            raise FingerprintError(
                f"the server at {server.address} has another {manifest.name} {manifest.version} ({found[:12]}) than "
                f"this device ({bundle.fingerprint[:12]}); deploy the same bundle on both"
            )
        limits.append(model.max_frame_bytes)
    server.most_bytes = min(limits, default=server.most_bytes)


def check_config(config: EdgeConfig) -> list[str]:
    """What a configuration would run, a line each, for `--check`; nothing is begun, no server is asked.

    Raises SplitnetError for the first thing that is wrong.
    """
    with TemporaryDirectory() as folder:
        store = Store(Path(folder) / "check.sqlite", max_bytes=config.spool.max_bytes)
        try:
            setup = build(config, store, EdgeTally(), lambda *_: None)
        finally:
            store.close()
        for recorder in setup.recorders.values():
            recorder.close()
    lines = [
        f"model {name}: {one.bundle.manifest.name} {one.bundle.fingerprint[:12]}" for name, one in setup.models.items()
    ]
    for name, way in setup.ways.items():
        lines.append(
            f"source {name}: {way.section.kind}, {', '.join(way.tasks)}, {way.chooser.choice.way}"
            f" ({way.chooser.choice.reason}) -> {way.section.sink}"
        )
    lines += [f"server {server.address}" for server in setup.servers] or ["no server: everything on the device"]
    return lines
