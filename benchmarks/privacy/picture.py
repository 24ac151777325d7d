"""The published picture: photos nobody learned from, and what comes back of them."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from benchmarks.privacy.attack import Leak
from benchmarks.privacy.photos import small
from splitnet.errors import OutputError
from splitnet.runtime import Array

COLOURS = 256
"""A palette keeps the file small; the eye does not miss the rest here."""

_TILE = 1.17
"""Inches at 100 dots an inch, a little more than the reconstruction's 112 pixels."""


def columns_of(leaks: Sequence[Leak]) -> list[Leak]:
    """Each cut untouched, then each cut at its largest step, by the decoder that knows the step."""
    untouched = [one for one in leaks if one.codec.name == "none"]
    coded = [one for one in leaks if one.adapted]
    return untouched + coded


def draw(shown: Sequence[Array], leaks: Sequence[Leak], seen: Mapping[str, Sequence[Array]], path: Path) -> None:
    """Rows: photos; columns: the original, then `columns_of`. Raises OutputError."""
    columns = columns_of(leaks)
    figure = Figure(figsize=(_TILE * (len(columns) + 1), _TILE * len(shown) + 0.62), dpi=100, facecolor="white")
    grid = figure.subplots(len(shown), len(columns) + 1, squeeze=False)
    figure.subplots_adjust(0.003, 0.005, 0.997, 1 - 0.6 / figure.get_figheight(), 0.03, 0.03)
    for row, pixels in enumerate(shown):
        for axes, tile in zip(grid[row], [small(pixels), *(seen[one.figure][row] for one in columns)], strict=True):
            axes.imshow(tile, interpolation="lanczos")
            axes.axis("off")
    titles = ["photo\n(112 x 112)"] + [f"{one.cut}\n{one.codec.label}\n{one.size:,.0f} bytes" for one in columns]
    for axes, title in zip(grid[0], titles, strict=True):
        axes.set_title(title, fontsize=9, pad=3, linespacing=1.15)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    image = Image.open(buffer).convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        image.save(path, optimize=True)
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror or error}") from error
