"""Sources at work: each runs on its own, and one that breaks off is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import structlog

from splitnet.edge.capture.contract import Source
from splitnet.edge.daemon.intake import Intake
from splitnet.edge.observe.tally import EdgeTally
from splitnet.errors import SplitnetError

log = structlog.get_logger()

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
STEADY = 10.0
"""A source that ran so many seconds before it broke off is tried again after the first pause."""


async def feed(sources: Mapping[str, Source], intake: Intake, tally: EdgeTally) -> None:
    """Run all sources; returns when every one of them has ended by itself."""
    await asyncio.gather(*(_keep(name, source, intake, tally) for name, source in sources.items()))


async def _keep(name: str, source: Source, intake: Intake, tally: EdgeTally) -> None:
    loop, pause = asyncio.get_running_loop(), FIRST_PAUSE
    while True:
        tally.source_state(name, "starting")
        begun = loop.time()
        try:
            await source.run(intake)
        except SplitnetError as error:
            message = str(error)
        except Exception as error:  # a defect in one source must not end the others
            log.exception("defect", source=name)
            message = f"internal error: {type(error).__name__}: {error}"
        else:
            tally.source_state(name, "ended")
            log.info("source ended", source=name)
            return
        if loop.time() - begun > STEADY:
            pause = FIRST_PAUSE
        tally.source_error(name, message)
        log.warning("source", source=name, error=message, again_in=pause)
        await asyncio.sleep(pause)
        pause = min(LONGEST_PAUSE, 2 * pause)
