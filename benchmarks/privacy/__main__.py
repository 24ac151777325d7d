"""`python -m benchmarks.privacy`: how much of a photo its features give away, at each cut and step."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import torch
import typer
from rich.console import Console

from benchmarks.fidelity.network import Network
from benchmarks.harness import RESULTS
from benchmarks.privacy import photos, report
from benchmarks.privacy.attack import FULL, SHORT
from benchmarks.privacy.codecs import PROFILES, codec_of
from benchmarks.privacy.picture import draw
from benchmarks.privacy.run import run
from splitnet.demo.main import demo_bundle
from splitnet.errors import SplitnetError
from splitnet.figures import write_results

CUTS, STEPS = "block4,block7,block10", "none,affine4,1,2"
SHORT_PHOTOS = 40
IMAGE = Path(__file__).resolve().parents[2] / "docs" / "images" / "privacy.png"


def main(
    data: Annotated[Path, typer.Option(help="Folder of photos; one in five is tested on, the others learned from.")],
    cuts: Annotated[str, typer.Option(help="Comma-separated.")] = CUTS,
    steps: Annotated[str, typer.Option(help="Comma-separated: none, affine2 to affine8, steps.")] = STEPS,
    profiles: Annotated[Path, typer.Option(help="Folder of CUT.safetensors.")] = PROFILES,
    seed: Annotated[int, typer.Option(help="Of crops, of the decoder's first weights, of the order.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder of the picture, and of results of a partial run.")] = Path(
        "out/privacy"
    ),
    short: Annotated[bool, typer.Option("--short", help="40 photos, a few steps of training.")] = False,
) -> None:
    """Train a small decoder on the features of each cut and measure what it gets back of photos it has not seen.

    Only a whole run writes into benchmarks/results and docs/images; others write into --out.
    """
    console = Console()
    torch.set_num_threads(1)
    try:
        chosen = [codec_of(text) for text in _names(steps)]
        paths = photos.find(data, SHORT_PHOTOS if short else None)
        network = Network(demo_bundle(out / "bundle", console))
        found = run(network, paths, _names(cuts), chosen, profiles, SHORT if short else FULL, seed, out / "decoders")
        tested = len(paths[:: photos.FOLDS])
        Console(width=max(console.width, 116)).print(report.table(found.leaks, found.references, tested))
        for line in found.lacking:
            console.print(line, style="red")
        whole = not short and (cuts, steps, seed) == (CUTS, STEPS, 0)
        target = (RESULTS if whole else out) / "privacy.json"
        write_results(
            target,
            command="python -m benchmarks.privacy --data DIR" + _told(cuts, steps, seed, short),
            figures=report.figures(found.leaks, found.references, tested),
            rows=report.rows(found.leaks, found.references),
        )
        written = [str(target)]
        if found.shown:
            image = IMAGE if whole else out / "privacy.png"
            draw(found.shown, found.leaks, found.seen, image)
            written.append(str(image))
        else:
            console.print("no picture: its photos come with scikit-image (pip install scikit-image)")
    except SplitnetError as error:
        typer.echo(f"benchmarks.privacy: {error}", err=True)
        raise typer.Exit(2) from error
    console.print(f"wrote {' and '.join(written)}")


def _told(cuts: str, steps: str, seed: int, short: bool) -> str:
    options = (("--cuts", cuts, CUTS), ("--steps", steps, STEPS), ("--seed", str(seed), "0"))
    return "".join(f" {name} {value}" for name, value, default in options if value != default) + " --short" * short


def _names(text: str) -> Sequence[str]:
    return tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))


if __name__ == "__main__":
    typer.run(main)
