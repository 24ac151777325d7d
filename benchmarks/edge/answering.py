"""A service that answers at once: `python -m benchmarks.edge.answering BUNDLE`, so that only the device is measured.

Everything but the network is real: the stream, admission, the answer's message. The first request of each kind runs
the network; its answer is everybody's. Prints the address, then for the first request the reading of the system's
monotonic clock.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence

from splitnet.bundle import Bundle
from splitnet.cli.logs import configure_logs
from splitnet.cloud import InferenceService
from splitnet.cloud.batching import BatchSettings, Job, Outcome
from splitnet.cloud.server import Server


class Answering(InferenceService):
    """Runs the network once for each cut, and repeats what it said."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__([bundle], batching=BatchSettings(max_batch=8))
        self._answers: dict[str, Outcome] = {}

    def run(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        cut = jobs[0].cut.name
        if cut not in self._answers:
            print(time.monotonic(), flush=True)
            self._answers[cut] = super().run(jobs[:1])[0]
        return [self._answers[cut]] * len(jobs)


async def main() -> None:
    """Serve until the process is ended."""
    configure_logs("warning", "json")
    async with Server(Answering(Bundle.load(sys.argv[1]))) as server:
        print(server.address, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
