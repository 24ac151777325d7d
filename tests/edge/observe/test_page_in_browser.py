"""The live page in a real browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from splitnet.edge.observe.pages import pages
from splitnet.http.server import PageServer
from tests.browser import browse, console, needs_browser
from tests.edge.observe.seeded import Clock, record, seeded

pytestmark = needs_browser
HOSTILE = "<img src=x onerror=document.title='owned'>"


class Ticking:
    """The pages, with a second between two requests for the status; after `answers` of them the daemon is ill."""

    def __init__(self, answers: int = 1000) -> None:
        self._clock = Clock()
        tally = seeded(self._clock)
        tally.recorded(record(HOSTILE, "failed", error=HOSTILE))
        tally.mode("lite0", "cloud", reason=HOSTILE)
        self._app: ASGIApp = pages(tally, lambda: True)
        self._answers = answers
        self.queries: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope.get("path") != "/status.json":
            await self._app(scope, receive, send)
            return
        self._clock.now += 1
        self.queries.append(scope["query_string"].decode())
        ill = PlainTextResponse("no", 500)
        await (self._app if len(self.queries) <= self._answers else ill)(scope, receive, send)


@pytest.fixture(scope="module")
def server() -> Iterator[PageServer]:
    with PageServer(Ticking(), "127.0.0.1:0") as running:
        yield running


def test_the_page_draws_what_is_counted_and_runs_nothing_else(tmp_path: Path) -> None:
    ticking = Ticking()
    with PageServer(ticking, "127.0.0.1:0") as server:
        done = browse(server, tmp_path, "--dump-dom")
    dom = done.stdout
    assert "<title>splitnet edge</title>" in dom
    assert dom.count('role="img"') == 2 + 4
    assert {"edge", "split", "cloud"} <= set(re.findall(r'<rect class="(\w+)"', dom))
    assert ">ready</span>" in dom
    assert "% less</b>" in dom
    assert "&lt;img src=x onerror" in dom
    assert "<img" not in dom
    # What a page may not do, and errors of its script, are on the browser's console.
    assert console(done) == []
    # The first answer is everything, those behind it what came since.
    assert ticking.queries[0] == ""
    assert len(ticking.queries) > 1
    assert all(re.fullmatch(r"after=\d+", query) for query in ticking.queries[1:])


def test_curves_of_several_answers_go_on_where_the_last_ended(tmp_path: Path) -> None:
    ticking = Ticking()
    with PageServer(ticking, "127.0.0.1:0") as server:
        dom = browse(server, tmp_path, "--dump-dom").stdout
    (curve,) = re.findall(r'aria-label="Uplink:.*?class="curve a" d="([^"]+)"', dom, re.DOTALL)
    places = [float(x) for x in re.findall(r"[ML]([\d.]+) ", curve)]
    assert places == sorted(places)
    assert len(places) == len(set(places)) > 100


def test_it_says_so_when_the_daemon_does_not_answer(tmp_path: Path) -> None:
    with PageServer(Ticking(answers=1), "127.0.0.1:0") as server:
        dom = browse(server, tmp_path, "--dump-dom").stdout
    assert "The daemon does not answer; these figures are old." in dom
    assert ">no answer</span>" in dom
    assert '<main id="main" class="old">' in dom


@pytest.mark.parametrize(("scheme", "options"), [("light", ()), ("dark", ("--force-dark-mode",))])
def test_it_can_be_seen_in_both_colour_schemes(
    server: PageServer, tmp_path: Path, scheme: str, options: tuple[str, ...]
) -> None:
    picture = tmp_path / "page.png"
    browse(server, tmp_path / "profile", *options, "--window-size=1280,1400", f"--screenshot={picture}")
    with Image.open(picture) as opened:
        pixels = np.asarray(opened.convert("L"))
    assert pixels.shape == (1400, 1280)
    # The page's own background in its corner, and a good deal drawn on it.
    assert (pixels[2, 2] > 200) == (scheme == "light")
    assert (pixels != pixels[2, 2]).mean() > 0.2
