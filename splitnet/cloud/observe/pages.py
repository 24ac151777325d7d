"""What is answered over HTTP: metrics, liveness, readiness, status, and the page that shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from splitnet.cloud.observe.metrics import Metrics
from splitnet.cloud.observe.status import status
from splitnet.cloud.observe.tally import Tally
from splitnet.cloud.service import InferenceService
from splitnet.http.gate import Gate
from splitnet.http.policy import content_policy

if TYPE_CHECKING:
    from splitnet.cloud.repository.state import Version

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def pages(
    service: InferenceService,
    tally: Tally,
    ready: Callable[[], bool],
    *,
    versions: Callable[[], Sequence[Version]] = tuple,
    token: str = "",
    hosts: tuple[str, ...] = (),
) -> ASGIApp:
    """The application. `ready` and `versions` (of the repository) are asked from a thread that is not the service's;
    `token` and `hosts` as in `Gate`.
    """
    metrics = Metrics(service, tally, ready)

    async def page(_: Request) -> Response:
        return HTMLResponse(page_text())

    async def metrics_text(_: Request) -> Response:
        return Response(metrics.text(), media_type=METRICS_TYPE)

    async def live(_: Request) -> Response:
        return PlainTextResponse("live\n")

    async def readiness(_: Request) -> Response:
        return PlainTextResponse("ready\n") if ready() else PlainTextResponse("not ready\n", 503)

    async def status_json(_: Request) -> Response:
        return JSONResponse(status(service, tally, ready(), versions()))

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
    """The status page: one HTML file that needs nothing but `/status.json`."""
    return files("splitnet.cloud.observe").joinpath("page.html").read_text(encoding="utf-8")
