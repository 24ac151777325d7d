"""What is answered over HTTP: metrics, liveness, readiness, status, and the page that shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.types import ASGIApp

from splitnet.cloud.observe.metrics import Metrics
from splitnet.cloud.observe.status import status
from splitnet.cloud.observe.tally import Tally
from splitnet.cloud.service import InferenceService
from splitnet.http.site import make_site

if TYPE_CHECKING:
    from splitnet.cloud.repository.state import Version


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

    def answer(_: Request) -> Any:
        return status(service, tally, ready(), versions())

    return make_site(page_text(), Metrics(service, tally, ready).text, ready, answer, token=token, hosts=hosts)


@cache
def page_text() -> str:
    """The status page: one HTML file that needs nothing but `/status.json`."""
    return files("splitnet.cloud.observe").joinpath("page.html").read_text(encoding="utf-8")
