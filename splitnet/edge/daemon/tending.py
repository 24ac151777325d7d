"""What a running daemon does beside its inputs: plans, gauges, the watchdog."""

from __future__ import annotations

import asyncio
import time

import structlog

from splitnet.edge.adapt.live import Conditions, LivePlan
from splitnet.edge.daemon.assemble import Setup
from splitnet.edge.daemon.intake import Intake
from splitnet.edge.daemon.pipeline import Pipeline
from splitnet.edge.link.server import Server
from splitnet.edge.link.servers import Servers
from splitnet.edge.observe.device import device_state
from splitnet.edge.observe.notify import Notifier
from splitnet.edge.observe.state import LinkMode, LinkState, SpoolState
from splitnet.edge.observe.tally import EdgeTally
from splitnet.edge.spool.store import Store
from splitnet.errors import OutputError

log = structlog.get_logger()

PLAN, GAUGES = 0.25, 1.0
"""Seconds between two looks at the plans, and between two readings of what the page shows."""
STUCK = 120.0
"""Seconds that one input may keep the compute thread before the watchdog is no longer told that all is well."""


async def follow(servers: Servers, plans: dict[str, LivePlan]) -> None:
    """Let the plans follow the link until cancelled."""
    while True:
        conditions = conditions_of(servers)
        for plan in plans.values():
            plan.look(conditions)
        servers.exploring = any(plan.curious for plan in plans.values())
        await asyncio.sleep(PLAN)


def conditions_of(servers: Servers) -> Conditions:
    """What is known of the server that is asked now."""
    server = servers.current
    if server is None:
        return Conditions(up=servers.hopeful)
    server.listen()
    meter = server.meter
    return Conditions(True, meter.bandwidth, meter.rtt, meter.queue_at(time.monotonic()), meter.interval)


async def gauge(
    setup: Setup, servers: Servers, intake: Intake, pipeline: Pipeline, store: Store, tally: EdgeTally
) -> None:
    """Tell the tally how much there is, once a second until cancelled."""
    while True:
        for server in servers.servers:
            tally.link(server.address, link_state(server, servers.current))
        try:
            age = await asyncio.to_thread(store.oldest_age)
        except OutputError as error:
            log.warning("spool", error=str(error))
            age = 0.0
        tally.gauges(
            queues={name: len(lane.waiting) + lane.under_way for name, lane in intake.lanes.items()},
            in_flight=pipeline.sending,
            spool=SpoolState(len(store), store.size, time.time() - age if len(store) else None),
            waiting={name: recorder.waiting for name, recorder in setup.recorders.items()},
            device=device_state(),
        )
        await asyncio.sleep(GAUGES)


def link_state(server: Server, current: Server | None) -> LinkState:
    """A server for the page."""
    states: dict[str, LinkMode] = {"new": "connecting", "up": "standby", "busy": "down", "down": "down"}
    mode: LinkMode = "up" if server is current else states[server.state]
    meter = server.meter
    return LinkState(mode, meter.bandwidth, meter.rtt, meter.queue if meter.exchanges else None, server.error)


async def keep_alive(notifier: Notifier, pipeline: Pipeline) -> None:
    """Tell the service manager that the loop and the compute thread go on, until cancelled."""
    while True:
        if pipeline.computing < STUCK:
            notifier.watchdog()
        await asyncio.sleep(notifier.interval or STUCK)
