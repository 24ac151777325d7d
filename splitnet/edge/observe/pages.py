"""What the daemon answers over HTTP: metrics, liveness, readiness, status, and the page that shows it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from splitnet.edge.observe.metrics import EdgeMetrics
from splitnet.edge.observe.status import status
from splitnet.edge.observe.tally import EdgeTally
from splitnet.http.gate import Gate
from splitnet.http.policy import content_policy

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def pages(tally: EdgeTally, ready: Callable[[], bool], token: str = "", hosts: tuple[str, ...] = ()) -> ASGIApp:
    """The application. `ready` is asked from a thread that is not the daemon's; `token` and `hosts` as in `Gate`."""
    metrics = EdgeMetrics(tally, ready)

    async def page(_: Request) -> Response:
        return HTMLResponse(page_text())

    async def metrics_text(_: Request) -> Response:
        return Response(metrics.text(), media_type=METRICS_TYPE)

    async def live(_: Request) -> Response:
        return PlainTextResponse("live\n")

    async def readiness(_: Request) -> Response:
        return PlainTextResponse("ready\n") if ready() else PlainTextResponse("not ready\n", 503)

    async def status_json(request: Request) -> Response:
        after = request.query_params.get("after", "")
        # Anything but a number gets everything, as nothing does.
        number = int(after) if re.fullmatch(r"[0-9]{1,15}", after) else None
        return JSONResponse(status(tally, ready(), number))

    routes = [
        Route("/", page),
        Route("/live", live),
        Route("/metrics", metrics_text),
        Route("/ready", readiness),
        Route("/status.json", status_json),
    ]
    return Gate(Starlette(routes=routes), token=token, hosts=hosts, page_policy=content_policy(page_text()))


@cache
def page_text() -> str:
    """The live page: one HTML file that needs nothing but `/status.json`."""
    return files("splitnet.edge.observe").joinpath("page.html").read_text(encoding="utf-8")
