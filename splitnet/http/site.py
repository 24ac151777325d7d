"""What every page of ours has beside it: metrics, liveness, readiness, status."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from splitnet.http.gate import Gate
from splitnet.http.policy import content_policy

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def make_site(
    page: str,
    metrics: Callable[[], bytes],
    ready: Callable[[], bool],
    status: Callable[[Request], Any],
    *,
    token: str = "",
    hosts: tuple[str, ...] = (),
) -> ASGIApp:
    """The application: `page`, HTML that needs nothing but `/status.json`; that, `/live`, `/metrics` and `/ready`.

    `metrics`, `ready` and `status` are asked from the thread that serves; `token` and `hosts` are as in `Gate`.
    """

    async def show(_: Request) -> Response:
        return HTMLResponse(page)

    async def metrics_text(_: Request) -> Response:
        return Response(metrics(), media_type=METRICS_TYPE)

    async def live(_: Request) -> Response:
        return PlainTextResponse("live\n")

    async def readiness(_: Request) -> Response:
        return PlainTextResponse("ready\n") if ready() else PlainTextResponse("not ready\n", 503)

    async def status_json(request: Request) -> Response:
        return JSONResponse(status(request))

    routes = [
        Route("/", show),
        Route("/live", live),
        Route("/metrics", metrics_text),
        Route("/ready", readiness),
        Route("/status.json", status_json),
    ]
    return Gate(Starlette(routes=routes), token=token, hosts=hosts, page_policy=content_policy(page))
