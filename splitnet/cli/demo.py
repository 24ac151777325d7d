"""`splitnet demo`: the whole thing on real photos, with tables and a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from splitnet.errors import VerificationError


def demo(
    out: Annotated[Path, typer.Option(help="Where bundle, page and results go.")] = Path("out/demo"),
) -> None:
    """Build (or reuse) a bundle, start a server of its own process, run 20 labelled photos through it.

    Several cuts and codecs, compared with the unsplit network and with image files of the same crops. Writes
    index.html and results.json. Exit code 7: with a lossless codec, split and unsplit logits differ.
    """
    from rich.console import Console

    from splitnet.demo.main import run_demo

    console = Console(highlight=False)
    results = run_demo(out, console)
    if not results.lossless_ok:
        raise VerificationError(
            f"split and unsplit logits differ by {results.worst_lossless:.2g} of the largest logit with a lossless "
            "codec; allowed is 1e-5"
        )
