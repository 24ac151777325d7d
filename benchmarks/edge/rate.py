"""The daemon's rate at block7 on one core, beside the edge graph alone in the same process."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import featcodec
from splitnet.bundle import Bundle
from splitnet.demo.photos import labelled_photos
from splitnet.edge.capture.contract import Intake
from splitnet.edge.config.loading import load_config
from splitnet.edge.daemon.assemble import build, open_store
from splitnet.edge.daemon.item import Item
from splitnet.edge.daemon.running import Running
from splitnet.edge.encoder import Ready, default_codec, prepare
from splitnet.edge.halves import Half, half_for
from splitnet.edge.observe.notify import Notifier
from splitnet.edge.observe.tally import EdgeTally

ROUNDS = 7


class Prepared:
    """A source of inputs that were read already, as fast as they are taken."""

    def __init__(self, inputs: Sequence[Ready], count: int) -> None:
        self._inputs, self._count = inputs, count

    async def run(self, intake: Intake) -> None:
        """Offer them all."""
        for number in range(self._count):
            await intake.offer(Item("camera", str(number), self._inputs[number % len(self._inputs)]))


async def daemon_rate(config: Path, inputs: Sequence[Ready], count: int) -> float:
    """Inputs a second, from the first that is offered to the last record on disk."""
    settings, tally = load_config(config), EdgeTally()
    store = open_store(settings)
    setup = build(settings, store, tally, lambda *_: None)
    setup.sources["camera"] = Prepared(inputs, count)
    started = time.perf_counter()
    try:
        await Running(setup, store, tally, Notifier()).run(asyncio.Event())
    finally:
        store.close()
    return count / (time.perf_counter() - started)


def graph_rate(half: Half, spec: featcodec.Spec, inputs: Sequence[Ready], count: int) -> float:
    """Runs a second of the edge graph alone."""
    started = time.perf_counter()
    for number in range(count):
        half.run(inputs[number % len(inputs)].tensor, spec)
    return count / (time.perf_counter() - started)


def main() -> None:
    """`CONFIG BUNDLE COUNT`: print both rates of every round as JSON."""
    config, bundle, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    os.sched_setaffinity(0, {int(sys.argv[4])})
    opened = Bundle.load(bundle)
    cut = opened.cut("block7")
    spec = featcodec.parse_spec(default_codec(cut))
    half = half_for(opened, cut, spec, threads=1)
    inputs = [prepare(photo.path, opened.manifest.input) for photo in labelled_photos()[:4]]
    graph_rate(half, spec, inputs, 50)
    rows = []
    for _ in range(ROUNDS):
        # In turns, for the machine's speed drifts.
        alone = graph_rate(half, spec, inputs, count)
        rows.append({"graph": alone, "daemon": asyncio.run(daemon_rate(config, inputs, count))})
    print(json.dumps({"rounds": rows, "ratio": median(row["daemon"] / row["graph"] for row in rows)}))


if __name__ == "__main__":
    main()
