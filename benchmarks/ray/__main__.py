"""`python -m benchmarks.ray`: 10,000 frames over two replicas of which one is killed; our batcher beside Serve's."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness import Measured, main
from benchmarks.ray.cluster import cluster, deployed, free_ports, replica_processes
from benchmarks.ray.frames import Delivery, deliver, expected_outputs, requests, tiny_bundle
from splitnet.cloud.ray_app import APPLICATION
from splitnet.errors import UnavailableError

FRAMES = 10_000
SERVE_BATCH = "serve-batch"


def measure(short: bool) -> Measured:
    """Raises SplitnetError."""
    count = FRAMES // 20 if short else FRAMES
    rows: list[dict[str, Any]] = []
    rates: dict[str, list[float]] = {"ours": [], "serve_batch": []}
    with tempfile.TemporaryDirectory() as folder:
        bundle = tiny_bundle(Path(folder))
        request, expected = requests(bundle, count), expected_outputs(bundle, count)
        with cluster():
            from benchmarks.ray.serve_batch import ServeBatchReplica

            ports = free_ports()
            with deployed(bundle.path, ports) as address:
                deliveries = [_killing(address, request, count // 2, unary) for unary in (True, False)]
                with deployed(bundle.path, ports, ServeBatchReplica, SERVE_BATCH):
                    # In turns, for the machine's other work meets both.
                    for turn in range(2 if short else 13):
                        for name, application in (("ours", APPLICATION), ("serve_batch", SERVE_BATCH)):
                            found = asyncio.run(deliver(address, request, count // 20, application=application))
                            if turn:
                                rates[name].append(len(found.answers) / found.seconds)
    for one, how in zip(deliveries, ("unary", "streams"), strict=True):
        rows.append(
            {
                "calls": how,
                "frames": count // 2,
                "seconds": one.seconds,
                "failed_attempts": dict(one.retried),
                "unanswered": dict(one.failures),
            }
        )
    rows += [{"batcher": name, "requests_per_s": found} for name, found in rates.items()]
    return Measured(
        {
            "serve.ray_frames": float(2 * (count // 2)),
            "serve.ray_unanswered": float(sum(count // 2 - len(one.answers) for one in deliveries)),
            "serve.ray_answered_twice": float(sum(n > 1 for one in deliveries for n in one.answers.values())),
            "serve.ray_wrong_answers": float(sum(one.wrong(expected) for one in deliveries)),
            "serve.ray_failed_attempts": float(sum(sum(one.retried.values()) for one in deliveries)),
            "serve.ray_requests_per_s": median(rates["ours"]),
            "serve.ray_requests_per_s_serve_batch": median(rates["serve_batch"]),
            # Pair by pair: on a machine that others use too, rates differ more between turns than between batchers.
            "serve.ray_batcher_vs_serve_batch": median(
                ours / theirs for ours, theirs in zip(rates["ours"], rates["serve_batch"], strict=True)
            ),
        },
        rows,
    )


def _killing(address: str, request: Any, count: int, unary: bool) -> Delivery:
    """Deliver, with the end of one replica half way. Raises UnavailableError where there are not two to begin with."""
    replicas = replica_processes()
    if len(replicas) != 2:
        raise UnavailableError(f"{len(replicas)} replicas run instead of 2")
    print(f"{count} frames, {'unary calls' if unary else 'streams'}, replica {replicas[0]} dies", file=sys.stderr)
    found = asyncio.run(deliver(address, request, count, victim=replicas[0], unary=unary))
    asyncio.run(_two_again())
    return found


async def _two_again() -> None:
    async with asyncio.timeout(120):
        while len(replica_processes()) != 2:
            await asyncio.sleep(0.2)


if __name__ == "__main__":
    main("ray", measure)
