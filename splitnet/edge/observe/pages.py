"""What the daemon answers over HTTP: metrics, liveness, readiness, status, and the page that shows it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

from starlette.requests import Request
from starlette.types import ASGIApp

from splitnet.edge.observe.metrics import EdgeMetrics
from splitnet.edge.observe.status import status
from splitnet.edge.observe.tally import EdgeTally
from splitnet.http.site import make_site


def pages(tally: EdgeTally, ready: Callable[[], bool], token: str = "", hosts: tuple[str, ...] = ()) -> ASGIApp:
    """The application. `ready` is asked from a thread that is not the daemon's; `token` and `hosts` as in `Gate`."""

    def answer(request: Request) -> Any:
        after = request.query_params.get("after", "")
        # Anything but a number gets everything, as nothing does.
        number = int(after) if re.fullmatch(r"[0-9]{1,15}", after) else None
        return status(tally, ready(), number)

    return make_site(page_text(), EdgeMetrics(tally, ready).text, ready, answer, token=token, hosts=hosts)


@cache
def page_text() -> str:
    """The live page: one HTML file that needs nothing but `/status.json`."""
    return files("splitnet.edge.observe").joinpath("page.html").read_text(encoding="utf-8")
