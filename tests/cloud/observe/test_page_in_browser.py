"""The status page in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from splitnet.cloud.observe.pages import pages
from splitnet.cloud.observe.tally import Tally
from splitnet.cloud.service import InferenceService
from splitnet.errors import OverloadedError
from splitnet.http.server import PageServer
from tests.browser import browse, console, needs_browser
from tests.cloud.observe.jobs import CALLER, job, request, response

pytestmark = needs_browser
HOSTILE = "<img src=x onerror=document.title='owned'>"


@pytest.fixture(scope="module")
def server() -> Iterator[PageServer]:
    now = [1000.0]
    tally = Tally(lambda: now[0])
    for second in range(300):
        now[0] = 1000.0 + second
        for _ in range(1 + second // 50):
            tally.answered(job(client=HOSTILE), response(total=0.004 + second / 50_000))
            tally.sent(300)
    tally.refused(OverloadedError(HOSTILE, reason="queue"), CALLER, request(model=HOSTILE))
    with PageServer(pages(InferenceService(observer=tally), tally, lambda: True), "127.0.0.1:0") as running:
        yield running


def test_the_page_draws_what_is_counted_and_runs_nothing_else(server: PageServer, tmp_path: Path) -> None:
    done = browse(server, tmp_path, "--dump-dom")
    dom = done.stdout
    assert "<title>splitnet service</title>" in dom
    assert dom.count("<svg") == 3
    assert dom.count('class="curve') == 7
    assert ">ready</span>" in dom
    assert "&lt;img src=x onerror" in dom
    assert "<img" not in dom
    # What a page may not do, and errors of its script, are on the browser's console.
    assert console(done) == []


@pytest.mark.parametrize(("scheme", "options"), [("light", ()), ("dark", ("--force-dark-mode",))])
def test_it_can_be_seen_in_both_colour_schemes(
    server: PageServer, tmp_path: Path, scheme: str, options: tuple[str, ...]
) -> None:
    picture = tmp_path / "page.png"
    browse(server, tmp_path / "profile", *options, "--window-size=1280,1000", f"--screenshot={picture}")
    with Image.open(picture) as opened:
        pixels = np.asarray(opened.convert("L"))
    assert pixels.shape == (1000, 1280)
    # The page's own background in its corner, and a good deal drawn on it.
    assert (pixels[2, 2] > 200) == (scheme == "light")
    assert (pixels != pixels[2, 2]).mean() > 0.2
